package localca

// Nothing in this file has been tried on Windows.

// syncDir does nothing: Windows cannot sync a folder, and NTFS journals its renames.
func syncDir(string) error { return nil }

// tightenKey does nothing: Windows has no mode bits, and files below a user's profile
// inherit an access list with the user and administrators only.
func tightenKey(string) error { return nil }

// tightenDir does nothing, like tightenKey.
func tightenDir(string) error { return nil }
