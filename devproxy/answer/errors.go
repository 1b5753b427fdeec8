package answer

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"syscall"

	"github.com/devproxy/devproxy/tunnel/page"
)

// NotFoundError is the error of a path for which a folder has nothing that may be
// served. It is answered with 404.
type NotFoundError struct {
	Dir  string // absolute
	Text string // as the Proxyfile has it: "site/dist"
	// Path is the path that was looked up in Dir, still percent-encoded.
	Path string
	// DirMissing is true when Dir itself does not exist yet, or is not a folder.
	DirMissing bool
	// Single is true when Dir and Text name the file itself, for an exact route.
	Single bool
	// Reason is why a path was not even looked up, to be read after "the path
	// …": `has a segment that begins with "."`. Empty when it was.
	Reason string
	// Link is the symbolic link that leads out of the folder or to a dot file,
	// slash-separated below Dir: "assets/shared". Empty when none does.
	Link string
	// LinkDot is true when Link leads to a name that begins with ".", within
	// Dir, and false when it leads out of Dir.
	LinkDot bool
}

func (e *NotFoundError) Error() string {
	link, folder, fix := fmt.Sprintf("%q in the folder %q", e.Link, e.Text), "the folder",
		"Copy the files into the folder, or serve the link's target with its own route"
	if e.Single {
		link, folder, fix = strconv.Quote(e.Text), "its folder", "Name the file that it leads to"
	}
	switch {
	case e.Single && e.Reason != "":
		return fmt.Sprintf("the file %q is not served: its name %s", e.Text, e.Reason)
	case e.Reason != "":
		return fmt.Sprintf("the path %q %s; such names are not served", e.Path, e.Reason)
	case e.Link != "" && e.LinkDot:
		return link + ` is a link to a name that begins with "."; such files are not served`
	case e.Link != "":
		return fmt.Sprintf("%s is a link that leads out of %s; only what is inside is served. %s", link, folder, fix)
	case e.Single:
		return fmt.Sprintf("the file %q does not exist yet (%s)", e.Text, e.Dir)
	case e.DirMissing:
		return fmt.Sprintf("the folder %q does not exist yet (%s)", e.Text, e.Dir)
	}
	return fmt.Sprintf("the folder %q has no file for %q", e.Text, e.Path)
}

// Page returns the error as clients see it.
func (e *NotFoundError) Page() page.Page {
	p := page.Page{Status: http.StatusNotFound, Title: "File not found."}
	switch {
	case e.Link != "" && e.LinkDot:
		p.Title = "This link leads to a hidden file."
	case e.Link != "":
		p.Title = "This link leads out of the folder."
	case e.Single && e.Reason == "":
		p.Title = "This file does not exist yet."
	case e.DirMissing:
		p.Title = "This folder does not exist yet."
	}
	if e.Link == "" && (e.DirMissing || e.Single && e.Reason == "") {
		p.Hints = []string{"devproxy serves it once it exists: build it, then reload."}
	}
	return p
}

// MethodError is the error of a method other than GET and HEAD. It is answered
// with 405 and an Allow field (RFC 9110 section 15.5.6).
type MethodError struct {
	Method string
	Allow  []string // the methods that work
}

func (e *MethodError) Error() string {
	return fmt.Sprintf("files take %s, not %s", strings.Join(e.Allow, " and "), e.Method)
}

// Page returns the error as clients see it.
func (e *MethodError) Page() page.Page {
	return page.Page{
		Status: http.StatusMethodNotAllowed, Title: "Files can only be read.",
		Header: http.Header{"Allow": {strings.Join(e.Allow, ", ")}},
	}
}

// ReadError is the error of a folder or file that exists and can't be read. It is
// answered with 500.
type ReadError struct {
	Path string // absolute
	Err  error
}

func (e *ReadError) Error() string {
	return fmt.Sprintf("cannot read %s, which the route serves: %v", e.Path, e.Err)
}

// Unwrap returns the error of the operating system.
func (e *ReadError) Unwrap() error { return e.Err }

// Page returns the error as clients see it.
func (e *ReadError) Page() page.Page {
	return page.Page{Status: http.StatusInternalServerError, Title: "This file can't be read."}
}

// unreadable reports whether err leaves open whether the file exists: no
// permission, no descriptor left, a broken disk.
func unreadable(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EMFILE) ||
		errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.EIO)
}
