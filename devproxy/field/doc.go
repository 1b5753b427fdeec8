// Package field reads what several packages ask of header fields.
package field
