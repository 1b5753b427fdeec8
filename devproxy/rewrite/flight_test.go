package rewrite

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// row is one of a flight, as React reads it.
type row struct{ id, value string }

// readRows reads rows as React's client does.
func readRows(t *testing.T, flight string) (rows []row) {
	t.Helper()
	for flight != "" {
		id, rest, found := strings.Cut(flight, ":")
		if !found || rest == "" {
			t.Fatalf("%q is not a row", flight)
		}
		if !strings.Contains("T"+lengths, rest[:1]) {
			line, after, ended := strings.Cut(rest, "\n")
			var value string
			if !ended {
				t.Fatalf("the row %s:%q does not end", id, rest)
			}
			switch err := json.Unmarshal([]byte(line), &value); {
			case err != nil:
				value = line // not a string
			case strings.HasPrefix(value, "$$"):
				value = value[1:]
			}
			rows, flight = append(rows, row{id, value}), after
			continue
		}
		digits, rest, _ := strings.Cut(rest[1:], ",")
		length, err := strconv.ParseUint(digits, 16, 32)
		if err != nil || int(length) > len(rest) {
			t.Fatalf("the row %s has the length %q: %v", id, digits, err)
		}
		rows, flight = append(rows, row{id, rest[:length]}), rest[length:]
	}
	return rows
}

// scriptsOf returns the rows of the scripts of a page.
func scriptsOf(t *testing.T, page string) string {
	t.Helper()
	var flight strings.Builder
	for page != "" {
		_, rest, found := strings.Cut(page, "<script>self.__next_f.push(")
		if !found {
			break
		}
		argument, rest, _ := strings.Cut(rest, ")</script>")
		var push []any
		if err := json.Unmarshal([]byte(argument), &push); err != nil {
			t.Fatalf("%s: %v", argument, err)
		}
		text := push[1].(string)
		if push[0] == 3.0 {
			decoded, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			text = string(decoded)
		}
		flight.WriteString(text)
		page = rest
	}
	return flight.String()
}

// randomFlight returns rows, and what they become.
func randomFlight(r *rand.Rand) (flight []byte, want []row) {
	words := []string{"https://shop.localhost:8443/a", "http://api.shop.localhost", "$", "$1", "text", "é", "\n", "\t", `"`, `\`, "😀", "<b>", "&", " \u2028", "\x01", "x:", ",", "1:T2,", "T", `{"u":"https:\/\/shop.localhost"}`, " "}
	names := testNames()
	for i := range r.IntN(8) {
		var text strings.Builder
		for range r.IntN(8) {
			text.WriteString(words[r.IntN(len(words))])
		}
		id := strconv.FormatInt(int64(i), 16)
		switch r.IntN(5) {
		case 0: // of bytes, which stay
			tag := lengths[r.IntN(len(lengths))]
			bytes := text.String() + "\xff\xfe"[:r.IntN(3)]
			flight = fmt.Appendf(flight, "%s:%c%x,%s", id, tag, len(bytes), bytes)
			want = append(want, row{id, bytes})
		case 1:
			flight = fmt.Appendf(flight, "%s:[\"$\",\"a\",null,{\"href\":\"https://shop.localhost/\"}]\n", id)
			want = append(want, row{id, `["$","a",null,{"href":"https://shop-k3.t.example.com/"}]`})
		case 2:
			flight = fmt.Appendf(flight, ":HL[\"/a.css\",\"style\"]\n")
			want = append(want, row{"", `HL["/a.css","style"]`})
		default:
			flight = fmt.Appendf(flight, "%s:T%x,%s", id, text.Len(), text.String())
			want = append(want, row{id, names.String(text.String())})
		}
	}
	return flight, want
}

// escapeScript writes a text as Next.js does in a script.
func escapeScript(text []byte) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(true)
	_ = encoder.Encode(string(text)) // a Buffer does not fail
	return strings.TrimSpace(out.String())
}

// pageOf returns a page with rows in scripts, cut as Next.js cuts them.
func pageOf(flight []byte, r *rand.Rand) string {
	page := `<html><script>(self.__next_f=self.__next_f||[]).push([0])</script>`
	for len(flight) > 0 {
		n := 1 + r.IntN(len(flight))
		for r.IntN(4) > 0 && n < len(flight) && flight[n]&0xc0 == 0x80 { // whole characters
			n++
		}
		if piece := flight[:n]; utf8.Valid(piece) {
			page += `<script>self.__next_f.push([1,` + escapeScript(piece) + `])</script>`
		} else {
			page += `<script>self.__next_f.push([3,"` + base64.StdEncoding.EncodeToString(piece) + `"])</script>`
		}
		if flight = flight[n:]; r.IntN(2) == 0 {
			page += "<p>https://shop.localhost</p>"
		}
	}
	return page
}

// anywhere makes local and public URLs the same.
var anywhere = strings.NewReplacer("https:", "https:", "http:", "https:",
	"api.shop.localhost", "shop-k3--api.t.example.com:9443", "shop.localhost:8443", "shop-k3.t.example.com", "shop.localhost", "shop-k3.t.example.com")

// TestFlight: rows with URLs are read as the same rows, with the URLs replaced, whatever
// the cut and the coding, alone and in the scripts of a page.
func TestFlight(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 11))
	for range 400 {
		flight, want := randomFlight(r)
		name := codings[r.IntN(len(codings))]
		most := 1 + r.IntN(30)
		cut := func(int) int { return 1 + r.IntN(most) }
		h := http.Header{"Content-Type": {"text/x-component"}, "Content-Encoding": {name}}
		got, err := respond(request(), h, 200, encode(t, flight, name, r), cut, ignore)
		if err != nil {
			t.Fatalf("seed %d, %q: %v", seed, flight, err)
		}
		if rows := readRows(t, decode(t, got.Body.Bytes(), name)); !slices.Equal(rows, want) {
			t.Fatalf("seed %d: %q\nbecomes\n%q, want\n%q", seed, flight, rows, want)
		}

		page := pageOf(flight, r)
		changed, _, _ := pageThrough(t, page, nil, cut)
		if whole, _, _ := pageThrough(t, page, nil, whole); changed != whole {
			t.Fatalf("seed %d: %s in pieces becomes\n%s, as a whole\n%s", seed, page, changed, whole)
		}
		for i, row := range readRows(t, scriptsOf(t, changed)) {
			same := row.value == want[i].value
			if strings.Contains(page, "push([3,") { // URLs in Base64 stay, or in part
				same = anywhere.Replace(row.value) == anywhere.Replace(want[i].value)
			}
			if row.id != want[i].id || !same {
				t.Fatalf("seed %d: %s\nbecomes\n%s\nrow %d is %q, want %q", seed, page, changed, i, row, want[i])
			}
		}
	}
}

// TestFlightUnchanged: everything but the row of a long text stays the same, byte for byte.
func TestFlightUnchanged(t *testing.T) {
	for _, text := range []string{
		"", ":", "1:", "1:T", "1:T5", "1:T5x,hello", "1:T123456789,x", "1:o5,hello", "1:ox", "no row at all", strings.Repeat("1", 100) + ":T2,ab",
		"1:[]\n\n2:\n:HL[]\n", "~0:{}\n1:I[1]\n",
	} {
		h := http.Header{"Content-Type": {"text/x-component"}}
		for _, cut := range []func(int) int{whole, func(int) int { return 1 }} {
			if got, err := respond(request(), h, 200, []byte(text), cut, ignore); err != nil || got.Body.String() != text {
				t.Errorf("%q becomes %q, %v", text, got.Body, err)
			}
		}
		if strings.Contains("1:T5", text) { // which the next script of the page would continue
			continue
		}
		for _, start := range []string{`<script>self.__next_f.push([1,`, `<script>(self.__FLIGHT_DATA||=[]).push(`, `<script>self.__next_g.push(`} {
			page := start + escapeScript([]byte(text)) + ")</script>"
			for _, cut := range []func(int) int{whole, func(int) int { return 1 }} {
				if got, _, _ := pageThrough(t, page, nil, cut); got != page {
					t.Errorf("%s becomes\n%s", page, got)
				}
			}
		}
	}
}

// TestFlightBreaksOff: a page that ends within a script with rows ends, with all of it.
func TestFlightBreaksOff(t *testing.T) {
	for _, text := range []string{"QUFB", "QUFBa", "QUFBaa", "QUFBaaa", "QUE=", "QUFBQUE=", "QUFBQQ==", "a", "MTpb", "MTpUNSxhYg=="} {
		for _, rest := range []string{"", "</script>", "</script><p>"} {
			page := `<script>self.__next_f.push([3,"` + text + rest
			for _, cut := range []func(int) int{whole, func(int) int { return 1 }} {
				done := make(chan string, 1)
				go func() {
					got, _, _ := pageThrough(t, page, nil, cut)
					done <- got
				}()
				select {
				case got := <-done:
					if text != "MTpUNSxhYg==" && got != page { // a text becomes a string
						t.Errorf("%q becomes %q", page, got)
					}
				case <-time.After(time.Minute):
					t.Fatalf("%q never ends", page)
				}
			}
		}
	}
}

// TestFlightLost: rows that cannot be understood may have lengths, so that no URL of them is
// replaced.
func TestFlightLost(t *testing.T) {
	rows := strings.Repeat("1", 100) + ":[]\n2:T16,https://shop.localhost"
	page := `<script>self.__next_f.push([1,` + escapeScript([]byte(rows)) + ")</script>"
	for _, cut := range []func(int) int{whole, func(int) int { return 1 }} {
		h := http.Header{"Content-Type": {"text/x-component"}}
		if got, err := respond(request(), h, 200, []byte(rows), cut, ignore); err != nil || got.Body.String() != rows {
			t.Errorf("%q becomes %q, %v", rows, got.Body, err)
		}
		if got, _, _ := pageThrough(t, page, nil, cut); got != page {
			t.Errorf("%s becomes\n%s", page, got)
		}
	}
}

// TestFlightInvalidBase64: invalid Base64 and the rows after it stay as they are.
func TestFlightInvalidBase64(t *testing.T) {
	const page = `<script>self.__next_f.push([3,"QUFBQUE=!"])</script><script>self.__next_f.push([3,"QUFB"])</script>`
	for _, cut := range []func(int) int{whole, func(int) int { return 1 }, func(int) int { return 5 }} {
		if got, _, _ := pageThrough(t, page, nil, cut); got != page {
			t.Errorf("%s becomes\n%s", page, got)
		}
	}
	// What may begin a URL moves into the next script, whatever comes at once.
	const moves = `<script>self.__next_f.push([1,"0:[s%2"])</script><script>self.__next_f.push([3,"00000000QU=BQU` + "\nB"
	want, _, _ := pageThrough(t, moves, nil, whole)
	for size := 1; size < 30; size++ {
		if got, _, _ := pageThrough(t, moves, nil, func(int) int { return size }); got != want {
			t.Errorf("in pieces of %d it becomes\n%q, as a whole\n%q", size, got, want)
		}
	}
}

// TestFlightDollar: a "$" at the beginning of a text keeps its meaning, however a script
// writes it.
func TestFlightDollar(t *testing.T) {
	for _, dollar := range []string{"$", `\$`, `\x24`, `\u0024`} {
		got, _, _ := pageThrough(t, `<script>self.__next_f.push([1,"1:T2,`+dollar+`1"])</script>`, nil, whole)
		if want := `<script>self.__next_f.push([1,"1:\"$` + dollar + `1\"\n"])</script>`; got != want {
			t.Errorf("%s becomes %s, want %s", dollar, got, want)
		}
	}
}

// TestFlightInPolicy: a script with rows that a policy allows by its hash is allowed as it
// becomes.
func TestFlightInPolicy(t *testing.T) {
	const script = `self.__next_f.push([1,"1:T16,https://shop.localhost"])`
	const changed = `self.__next_f.push([1,"1:\"https://shop-k3.t.example.com\"\n"])`
	was, is := "'"+padded(of([]byte(script))[0])+"'", "'"+padded(of([]byte(changed))[0])+"'"
	got, header, _ := pageThrough(t, "<script>"+script+"</script>", []string{"script-src " + was}, func(int) int { return 7 })
	if got != "<script>"+changed+"</script>" || !slices.Equal(header, []string{"script-src " + was + " " + is}) {
		t.Errorf("it becomes\n%s\nwith %q", got, header)
	}
}

func FuzzFlight(f *testing.F) {
	f.Add([]byte("1:T18,https://shop.localhost/a2:o2,hi3:[]\n"), uint64(1))
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 12))
		h := http.Header{"Content-Type": {"text/x-component"}}
		want, err := respond(request(), h, 200, text, whole, ignore)
		if err != nil {
			t.Fatal(err)
		}
		got, err := respond(request(), h, 200, text, func(int) int { return 1 + r.IntN(9) }, ignore)
		if err != nil || got.Body.String() != want.Body.String() {
			t.Errorf("%q in pieces becomes\n%q, as a whole\n%q, %v", text, got.Body, want.Body, err)
		}
	})
}
