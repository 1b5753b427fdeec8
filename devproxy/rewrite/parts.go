package rewrite

import (
	"bufio"
	"bytes"
	"mime"
	"net/http"
	"net/textproto"
)

// boundaryOf returns the boundary of a form in parts (RFC 7578); empty for another body.
func boundaryOf(h http.Header) string {
	name, parameters, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || name != "multipart/form-data" {
		return ""
	}
	return parameters["boundary"]
}

// replaceParts writes a form in parts to out. URLs are replaced in fields; files, and
// whatever is not as browsers write it, pass.
func replaceParts(out *Text, form []byte, boundary string) {
	delimiter := []byte("\r\n--" + boundary)
	first := true
	for len(form) > 0 {
		// The first delimiter needs no line before it.
		size := len(form)
		if first && bytes.HasPrefix(form, delimiter[2:]) {
			size = 0
		} else if n := bytes.Index(form, delimiter); n >= 0 {
			size = n
		}
		writePart(out, form[:size], first)
		form = form[size:]
		if len(form) == 0 {
			break
		}
		n := len(delimiter)
		if first && size == 0 {
			n -= 2
		}
		_ = out.pass(form[:n])
		form, first = form[n:], false
	}
}

// writePart writes what is between two delimiters: the end of a line, a header, an empty
// line, and a value.
func writePart(out *Text, part []byte, preamble bool) {
	head, value, complete := bytes.Cut(part, []byte("\r\n\r\n"))
	if preamble || !complete || !isField(head) {
		_ = out.pass(part)
		return
	}
	_ = out.pass(part[:len(part)-len(value)])
	_, _ = out.Write(value)
	_ = out.pass(nil) // a URL ends with its field
}

// isField reports whether a part with this header is a text and not a file.
func isField(head []byte) bool {
	lines := textproto.NewReader(bufio.NewReader(bytes.NewReader(append(bytes.TrimPrefix(head, []byte("\r\n")), "\r\n\r\n"...))))
	h, err := lines.ReadMIMEHeader()
	if err != nil {
		return false
	}
	disposition, parameters, err := mime.ParseMediaType(h.Get("Content-Disposition"))
	_, file := parameters["filename"]
	k, charset := kindOf(h.Get("Content-Type"))
	return err == nil && disposition == "form-data" && !file && isASCII(charset) && h.Get("Content-Transfer-Encoding") == "" &&
		(h.Get("Content-Type") == "" || k == plain || hasFold([]byte(h.Get("Content-Type")), "text/plain") == yes)
}
