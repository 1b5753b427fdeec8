package main

import "github.com/devproxy/devproxy/devproxy/control"

// shareRequestOf is what a key asks of a share; false for any other key.
func shareRequestOf(key byte) (control.ShareRequest, bool) {
	switch key {
	case 's', 'S':
		return control.ShareRequest{Op: control.OpStart}, true
	case 'e', 'E':
		return control.ShareRequest{Op: control.OpExtend, For: oneMore}, true
	case 'n', 'N':
		return control.ShareRequest{Op: control.OpNew}, true
	case 'x', 'X':
		return control.ShareRequest{Op: control.OpEnd}, true
	}
	return control.ShareRequest{}, false
}
