package provider

import "os"

const programSuffix = ".exe"

// environmentNames are the variables that a child gets.
const environmentNames = "PATH SystemRoot SystemDrive windir ComSpec USERPROFILE USERNAME APPDATA LOCALAPPDATA ProgramData TEMP TMP"

// isProgram reports whether path is a file.
func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
