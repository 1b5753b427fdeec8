//go:build unix

package answer

import (
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nginx serves dir on a socket until the test ends.
func nginx(t *testing.T, dir string) *http.Client {
	t.Helper()
	program := "/usr/sbin/nginx"
	if _, err := os.Stat(program); err != nil {
		program = tool(t, "nginx")
	}
	run, err := os.MkdirTemp("", "nginx") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(run) })
	for _, open := range []string{run, dir, filepath.Dir(dir), filepath.Dir(filepath.Dir(dir))} {
		_ = os.Chmod(open, 0o755) // its workers are another user
	}
	config := fmt.Sprintf(`daemon off; pid %[1]s/pid; error_log %[1]s/error.log; events { worker_connections 64; }
http { access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
server { listen unix:%[1]s/socket; root %[2]s; } }`, run, dir)
	if err := os.WriteFile(filepath.Join(run, "nginx.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-p", run, "-c", "nginx.conf", "-e", run+"/error.log")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	client := unixClient(t, filepath.Join(run, "socket"))
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		res, err := client.Get("http://nginx/")
		if err == nil {
			_ = res.Body.Close()
			return client
		}
		if time.Since(begun) > 30*time.Second {
			said, _ := os.ReadFile(filepath.Join(run, "error.log"))
			t.Fatalf("nginx does not listen: %v\n%s", err, said)
		}
	}
}

// answered is what counts of an answer to a range request: "206 0-4/10 01234",
// "206 (0-1/10 01)(8-9/10 89)", "416 */10", "200 all".
func answered(res *http.Response, body, all string) string {
	contentRange := strings.TrimPrefix(res.Header.Get("Content-Range"), "bytes ")
	switch {
	case res.StatusCode == http.StatusOK && contentRange == "" && (body == all || res.Request.Method == http.MethodHead && body == "" && res.ContentLength == int64(len(all))):
		return "200 all"
	case res.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return "416 " + contentRange
	}
	kind, params, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if kind != "multipart/byteranges" {
		return fmt.Sprintf("%d %s %s", res.StatusCode, contentRange, body)
	}
	text := fmt.Sprintf("%d ", res.StatusCode)
	if contentRange != "" {
		text += "a Content-Range in addition to the parts' " // RFC 9110 section 15.3.7.2
	}
	for parts := multipart.NewReader(strings.NewReader(body), params["boundary"]); ; {
		part, err := parts.NextPart()
		if err != nil {
			return text
		}
		content, _ := io.ReadAll(part)
		text += fmt.Sprintf("(%s %s)", strings.TrimPrefix(part.Header.Get("Content-Range"), "bytes "), content)
	}
}

// TestRanges is RFC 9110 section 14 as a table, next to what nginx answers.
// Where the two differ, nginx has its own column.
func TestRanges(t *testing.T) {
	const huge = "99999999999999999999999999"
	tests := []struct {
		file, method string // digits.txt and GET when empty
		ranges       []string
		ifRange      string // TAG and DATE are the file's own
		want, nginx  string
	}{
		// 14.1.2, int-range.
		{ranges: []string{"bytes=0-4"}, want: "206 0-4/10 01234"},
		{ranges: []string{"bytes=0-0"}, want: "206 0-0/10 0"},
		{ranges: []string{"bytes=5-"}, want: "206 5-9/10 56789"},
		{ranges: []string{"bytes=0-"}, want: "206 0-9/10 0123456789"},
		{ranges: []string{"bytes=9-9"}, want: "206 9-9/10 9"},
		{ranges: []string{"bytes=8-10"}, want: "206 8-9/10 89"},
		{ranges: []string{"bytes=007-0000000000000000000000008"}, want: "206 7-8/10 78"},
		{ranges: []string{"bytes=8-" + huge}, want: "206 8-9/10 89", nginx: "416 */10"},
		{ranges: []string{"bytes=10-"}, want: "416 */10"},
		{ranges: []string{"bytes=10-20"}, want: "416 */10"},
		{ranges: []string{"bytes=" + huge + "-"}, want: "416 */10"},
		{ranges: []string{"bytes=" + huge + "-" + huge + "1"}, want: "416 */10"},
		// suffix-range.
		{ranges: []string{"bytes=-1"}, want: "206 9-9/10 9"},
		{ranges: []string{"bytes=-10"}, want: "206 0-9/10 0123456789"},
		{ranges: []string{"bytes=-11"}, want: "206 0-9/10 0123456789"},
		{ranges: []string{"bytes=-" + huge}, want: "206 0-9/10 0123456789", nginx: "416 */10"},
		{ranges: []string{"bytes=-0"}, want: "416 */10"},
		{ranges: []string{"bytes=-00"}, want: "416 */10"},
		// Several, in the order asked for; those that are not satisfiable fall out.
		{ranges: []string{"bytes=0-1,8-9"}, want: "206 (0-1/10 01)(8-9/10 89)"},
		{ranges: []string{"bytes=8-9,0-1"}, want: "206 (8-9/10 89)(0-1/10 01)"},
		{ranges: []string{"bytes=0-1, -2"}, want: "206 (0-1/10 01)(8-9/10 89)"},
		{ranges: []string{"bytes=0-1,\t8-"}, want: "206 (0-1/10 01)(8-9/10 89)", nginx: "416 */10"},
		{ranges: []string{"bytes=0-1,20-30"}, want: "206 0-1/10 01"},
		{ranges: []string{"bytes=20-30,-2"}, want: "206 8-9/10 89"},
		{ranges: []string{"bytes=-0,0-1"}, want: "206 0-1/10 01"},
		{ranges: []string{"bytes=20-,30-"}, want: "416 */10"},
		{ranges: []string{"bytes=-0,20-"}, want: "416 */10"},
		{ranges: []string{"bytes=0-9,0-9"}, want: "200 all"}, // more bytes than the file
		{ranges: []string{"bytes=,0-1,,"}, want: "206 0-1/10 01", nginx: "416 */10"},
		{ranges: []string{"bytes= 0 - 1 "}, want: "206 0-1/10 01"},
		// 14.1.1, invalid.
		{ranges: []string{"bytes=5-4"}, want: "416 */10"},
		{ranges: []string{"bytes=" + huge + "-4"}, want: "416 */10"},
		{ranges: []string{"bytes=20-19"}, want: "416 */10"},
		{ranges: []string{"bytes=0-1,5-4"}, want: "416 */10", nginx: "206 0-1/10 01"},
		{ranges: []string{"bytes=a-b"}, want: "416 */10"},
		{ranges: []string{"bytes=+1-+2"}, want: "416 */10"},
		{ranges: []string{"bytes=-+2"}, want: "416 */10"},
		{ranges: []string{"bytes=--1"}, want: "416 */10"},
		{ranges: []string{"bytes=1--2"}, want: "416 */10"},
		{ranges: []string{"bytes=0x1-2"}, want: "416 */10"},
		{ranges: []string{"bytes=0-" + huge + "x"}, want: "416 */10"},
		{ranges: []string{"bytes=-" + huge + "x"}, want: "416 */10"},
		{ranges: []string{"bytes=1"}, want: "416 */10"},
		{ranges: []string{"bytes=-"}, want: "416 */10"},
		{ranges: []string{"bytes="}, want: "200 all"},
		{ranges: []string{"bytes=,"}, want: "416 */10"},
		// 14.1 and 14.2: units are case-insensitive, and unknown ones are ignored.
		{ranges: []string{"Bytes=0-1"}, want: "206 0-1/10 01"},
		{ranges: []string{"BYTES=-2"}, want: "206 8-9/10 89"},
		{ranges: []string{"items=0-1"}, want: "200 all"},
		{ranges: []string{"seconds=1-2"}, want: "200 all"},
		{ranges: []string{"byte=0-1"}, want: "200 all"},
		{ranges: []string{"bytes"}, want: "200 all"},
		{ranges: []string{"bytes 0-1"}, want: "200 all"},
		{ranges: []string{"0-1"}, want: "200 all"},
		{ranges: []string{""}, want: "200 all"},
		{ranges: []string{"=0-1"}, want: "200 all"},
		{ranges: []string{"bytes=0-1", "bytes=8-9"}, want: "200 all", nginx: "206 0-1/10 01"},
		// 14.2: defined for GET alone.
		{method: "HEAD", ranges: []string{"bytes=0-1"}, want: "200 all", nginx: "206 0-1/10 "},
		{method: "HEAD", ranges: []string{"bytes=20-"}, want: "200 all", nginx: "416 */10"},
		// An empty file.
		{file: "empty.txt", ranges: []string{"bytes=0-"}, want: "200 all"},
		{file: "empty.txt", ranges: []string{"bytes=-5"}, want: "200 all"},
		{file: "empty.txt", ranges: []string{"bytes=-0"}, want: "200 all"},
		{file: "empty.txt", ranges: []string{"bytes=3-4"}, want: "200 all", nginx: "416 */0"},
		// 13.1.5.
		{ranges: []string{"bytes=0-1"}, ifRange: "TAG", want: "206 0-1/10 01"},
		{ranges: []string{"bytes=20-"}, ifRange: "TAG", want: "416 */10"},
		{ranges: []string{"bytes=0-1"}, ifRange: "DATE", want: "206 0-1/10 01"},
		{ranges: []string{"bytes=0-1"}, ifRange: `"other"`, want: "200 all"},
		{ranges: []string{"bytes=20-"}, ifRange: `"other"`, want: "200 all"},
		{ranges: []string{"bytes=0-1"}, ifRange: "W/TAG", want: "200 all"},
		{ranges: []string{"bytes=0-1"}, ifRange: `TAG, "other"`, want: "200 all"},
		{ranges: []string{"bytes=0-1"}, ifRange: "Sun, 06 Nov 1994 08:49:37 GMT", want: "200 all"},
		{ranges: []string{"bytes=0-1"}, ifRange: "yesterday", want: "200 all"},
	}
	content := map[string]string{"digits.txt": "0123456789", "empty.txt": ""}
	f := tree(t, content)
	for name := range content {
		if err := os.Chmod(filepath.Join(f.Dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	reference := nginx(t, f.Dir)
	at := serveFiles(t, f)
	for _, test := range tests {
		if test.file == "" {
			test.file = "digits.txt"
		}
		if test.method == "" {
			test.method = "GET"
		}
		if test.nginx == "" {
			test.nginx = test.want
		}
		all := content[test.file]
		ask := func(client *http.Client, base, want string) {
			t.Helper()
			first, err := client.Get(base + "/" + test.file)
			if err != nil {
				t.Fatal(err)
			}
			_ = first.Body.Close()
			r, _ := http.NewRequest(test.method, base+"/"+test.file, nil)
			r.Header["Range"] = test.ranges
			if test.ifRange != "" {
				r.Header.Set("If-Range", strings.NewReplacer("TAG", first.Header.Get("ETag"), "DATE", first.Header.Get("Last-Modified")).Replace(test.ifRange))
			}
			res, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if got := answered(res, string(body), all); got != want || err != nil {
				t.Errorf("%s %s %s: %q, If-Range %q: %q, want %q (%v)", base, test.method, test.file, test.ranges, test.ifRange, got, want, err)
			}
		}
		ask(http.DefaultClient, at, test.want)
		ask(reference, "http://nginx", test.nginx)
	}
}
