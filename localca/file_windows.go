package localca

// Nothing in this file could be tried where it was written.

// syncDir does nothing: Windows has no way to sync a folder, and NTFS journals
// its renames.
func syncDir(string) error { return nil }

// tightenKey does nothing: there are no mode bits, and what is below a user's
// profile inherits an access list that admits the user and administrators only.
func tightenKey(string) error { return nil }

// tightenDir does nothing, as tightenKey.
func tightenDir(string) error { return nil }
