package rewrite

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/textproto"
	"strings"
	"testing"
)

// bodyThrough returns what the body of a request becomes.
func bodyThrough(t *testing.T, body string, from netip.Addr, fields ...string) (text string, in *Request) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	in, err := NewRequest(r, testNames(), "0", from, true)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(in.Body)
	if err != nil || int64(len(got)) != in.ContentLength {
		t.Fatalf("a body of %d bytes, declared as %d: %v", len(got), in.ContentLength, err)
	}
	return string(got), in
}

// form writes a form in parts, as browsers do.
func form(t *testing.T, url string) (body, contentType string) {
	t.Helper()
	var out bytes.Buffer
	w := multipart.NewWriter(&out)
	add := func(value string, header textproto.MIMEHeader) {
		part, err := w.CreatePart(header)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(part, value) // a Buffer does not fail
	}
	disposition := func(text string) []string { return []string{"form-data; name=" + text} }
	local := "https://shop.localhost/" // stays
	add(url+"/a", textproto.MIMEHeader{"Content-Disposition": disposition(`"back"`)})
	add(local, textproto.MIMEHeader{"Content-Disposition": disposition(`"upload"; filename="a.txt"`), "Content-Type": {"text/plain"}})
	add("https:", textproto.MIMEHeader{"Content-Disposition": disposition(`"half"`)})
	add("//"+url[len("https://"):], textproto.MIMEHeader{"Content-Disposition": disposition(`"other half"`)})
	add(local, textproto.MIMEHeader{"Content-Disposition": disposition(`"blob"`), "Content-Type": {"image/png"}})
	add(`{"u":"`+url+`"}`, textproto.MIMEHeader{"Content-Disposition": disposition(`"state"`), "Content-Type": {"application/json"}})
	add("", textproto.MIMEHeader{"Content-Disposition": disposition(`"empty"`)})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(out.String(), w.Boundary(), "boundary"), "multipart/form-data; boundary=boundary"
}

// TestRequestBodies: which bodies change that a page of the share sends.
func TestRequestBodies(t *testing.T) {
	const local, public = "https://shop.localhost", "https://shop-k3.t.example.com"
	parts, kind := form(t, local)
	changed, _ := form(t, public)
	for _, test := range []struct {
		name, body, want string
		fields           []string
	}{
		{"JSON", `["` + local + `"]`, `["` + public + `"]`, []string{"Content-Type", "application/json"}},
		{"a form", "u=https%3A%2F%2Fshop.localhost", "u=https%3A%2F%2Fshop-k3.t.example.com", []string{"Content-Type", "application/x-www-form-urlencoded"}},
		{"a form in parts", parts, changed, []string{"Content-Type", kind}},
		{"parts without a boundary", parts, parts, []string{"Content-Type", "multipart/form-data"}},
		{"parts that break off", parts[:60], parts[:60], []string{"Content-Type", kind}},
		{"text before the first part", local + "\r\n" + parts, local + "\r\n" + changed, []string{"Content-Type", kind}},
		{"no parts", local, local, []string{"Content-Type", kind}},
		{"a call of a server function", `["` + local + `"]`, `["` + public + `"]`, []string{"Content-Type", "text/plain;charset=UTF-8", "Next-Action", "40"}},
		{"plain text", local, local, []string{"Content-Type", "text/plain"}},
		{"from another site", `["` + local + `"]`, `["` + local + `"]`, []string{"Content-Type", "application/json", "Sec-Fetch-Site", "cross-site"}},
		{"with a digest", `["` + local + `"]`, `["` + local + `"]`, []string{"Content-Type", "application/json", "Content-Digest", "sha-256=:x:"}},
		{"too large", `["` + local + `"]` + strings.Repeat(" ", maxBody), `["` + local + `"]` + strings.Repeat(" ", maxBody), []string{"Content-Type", "application/json"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, in := bodyThrough(t, test.body, netip.Addr{}, test.fields...)
			if got != test.want {
				t.Errorf("%.2000s\nbecomes\n%.2000s\nwant\n%.2000s", test.body, got, test.want)
			}
			in.Free()
		})
	}
	if inMemory.used != 0 || len(inMemory.of) != 0 {
		t.Errorf("%d bytes of %d visitors are counted after the last", inMemory.used, len(inMemory.of))
	}
}

// TestBodiesOfOneVisitor: a visitor who fills the memory for bodies fills only their own.
func TestBodiesOfOneVisitor(t *testing.T) {
	body := `["https://shop.localhost"]` + strings.Repeat(" ", maxBody-100)
	ask := func(addr string) (replaced bool, in *Request) {
		got, in := bodyThrough(t, body, netip.MustParseAddr(addr), "Content-Type", "application/json")
		return !strings.Contains(got, "shop.localhost"), in
	}
	var open []*Request
	stranger := []string{"2001:db8::1", "2001:db8::2", "2001:db8:0:0:5::1"} // one network
	for i := range 2 * maxBodies / maxBody {
		replaced, in := ask(stranger[i%len(stranger)])
		open = append(open, in)
		if want := i < maxBodiesOf/maxBody; replaced != want {
			t.Errorf("body %d of one visitor is replaced: %v, want %v", i+1, replaced, want)
		}
	}
	for _, other := range []string{"2001:db8:0:1::1", "192.0.2.1", "::ffff:192.0.2.2"} {
		replaced, in := ask(other)
		open = append(open, in)
		if !replaced {
			t.Errorf("the body of %s is not replaced", other)
		}
	}
	for _, in := range open {
		in.Free()
		in.Free()
	}
	if inMemory.used != 0 || len(inMemory.of) != 0 {
		t.Errorf("%d bytes of %d visitors are counted after the last", inMemory.used, len(inMemory.of))
	}
}

// TestGrownBodies: what a body grows counts too, and beyond the limit it stays as it is.
func TestGrownBodies(t *testing.T) {
	const short = "//shop.localhost "
	from := netip.MustParseAddr("192.0.2.1")
	for _, kind := range []string{"application/json", "multipart/form-data; boundary=b"} {
		body := strings.Repeat(short, (maxBody-200)/len(short))
		if boundaryOf(http.Header{"Content-Type": {kind}}) != "" {
			body = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n" + body + "\r\n--b--\r\n"
		}
		var open []*Request
		for range maxBodiesOf / maxBody {
			got, in := bodyThrough(t, body, from, "Content-Type", kind)
			open = append(open, in)
			changed := strings.ReplaceAll(body, short, "//shop-k3.t.example.com ")
			if got != body && got != changed {
				t.Error("a part of a body is replaced")
			}
			if used := int64(len(got)); got == changed && in.held.size < used {
				t.Errorf("a body of %d bytes counts as %d", used, in.held.size)
			}
		}
		if got, in := bodyThrough(t, body, from, "Content-Type", kind); got != body {
			t.Error("bodies beyond the limit are replaced")
		} else {
			open = append(open, in)
		}
		for _, in := range open {
			in.Free()
		}
	}
	if inMemory.used != 0 || len(inMemory.of) != 0 {
		t.Errorf("%d bytes of %d visitors are counted after the last", inMemory.used, len(inMemory.of))
	}
}

// TestDeclaredBodies: a body counts as it arrives, whatever length it declares.
func TestDeclaredBodies(t *testing.T) {
	from := netip.MustParseAddr("192.0.2.1")
	reader, writer := io.Pipe()
	r := httptest.NewRequest(http.MethodPost, "/", reader)
	r.ContentLength = maxBody
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Content-Type", "application/json")
	failed := make(chan error, 1)
	go func() {
		in, err := NewRequest(r, testNames(), "0", from, true)
		in.Free()
		failed <- err
	}()
	if _, err := io.WriteString(writer, "[]"); err != nil { // it has been read
		t.Fatal(err)
	}
	inMemory.mu.Lock()
	if used := inMemory.used; used != bodyPiece {
		t.Errorf("2 bytes of a body count as %d, want %d", used, bodyPiece)
	}
	inMemory.mu.Unlock()
	_ = writer.Close()
	if err := <-failed; err == nil {
		t.Error("a body that breaks off is complete")
	}
}

func FuzzParts(f *testing.F) {
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nhttps://shop.localhost/\r\n--b--\r\n"))
	f.Fuzz(func(t *testing.T, form []byte) {
		var got bytes.Buffer
		none := &Names{Ends: map[string]bool{"localhost": true}, Replace: func(string, string, string) (Target, bool) { return Target{}, false }}
		out := NewText(none, &got)
		replaceParts(out, form, "b")
		_ = out.Close()
		if !bytes.Equal(got.Bytes(), form) {
			t.Errorf("%q becomes %q", form, got.Bytes())
		}
	})
}
