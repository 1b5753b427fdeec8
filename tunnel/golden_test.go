package tunnel

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// goldenFrames is one frame of every kind.
func goldenFrames() map[string]*wireFrame {
	return map[string]*wireFrame{
		"data":     {kind: kindData, stream: 6, number: 300, data: []byte("hello")},
		"data-fin": {kind: kindData | flagFin, stream: 6, number: 305},
		"data-open": {
			kind: kindData | flagOpen, stream: 7, head: []byte(ControlHead), data: []byte("{"),
		},
		"data-open-fin": {kind: kindData | flagOpen | flagFin, stream: 200, head: []byte("h"), data: []byte("all")},
		"reset":         {kind: kindReset, stream: 6},
		"stop":          {kind: kindStop, stream: 6},
		"credit":        {kind: kindCredit, stream: 6, number: 524288},
		"ack":           {kind: kindAck, lane: 2, number: 1000},
		"ping":          {kind: kindPing, number: 1700000000000},
		"pong":          {kind: kindPong, number: 1700000000000},
		"drain":         {kind: kindDrain},
		"close":         {kind: kindClose, number: uint64(CodeReplaced), data: []byte("a newer session")},
		"lanes":         {kind: kindLanes, number: 16},
		"retire":        {kind: kindRetire, lane: 3},
		"gone":          {kind: kindGone, lane: 3},
	}
}

// goldens is what the files of testdata/wire hold, by name.
func goldens() map[string][]byte {
	visitor := Visitor{netip.MustParseAddrPort("192.0.2.1:51000"), "https", "shop.t.example.com"}
	port := Visitor{netip.MustParseAddrPort("192.0.2.1:51000"), TCP, "postgres"}
	all := map[string][]byte{
		"hello":       helloOf("agent", sessionID{}, []byte("hello"), bindingHere),
		"welcome":     (&welcome{session: sessionID{0xa1, 15: 0xa2}, lane: 1, payload: []byte("answer")}).encode(),
		"refusal":     (&welcome{refusal: &Refusal{CodeBusy, "later"}}).encode(),
		"visitor":     visitor.AppendTo(nil),
		"visitor-tcp": port.AppendTo(nil),
		"datagram":    appendDatagram(nil, []byte("ping")),
	}
	for name, f := range goldenFrames() {
		all[name] = f.append(nil)
	}
	return all
}

const goldenFolder = "../testdata/wire"

// TestGoldens: the wire form does not change by accident. To
// change it, change version, spec.md and these files.
func TestGoldens(t *testing.T) {
	files, err := filepath.Glob(goldenFolder + "/*.hex")
	if err != nil {
		t.Fatal(err)
	}
	want := goldens()
	if len(files) != len(want) {
		t.Errorf("%d files in %s; want %d", len(files), goldenFolder, len(want))
	}
	for name, b := range want {
		if got := golden(t, name); !bytes.Equal(got, b) {
			t.Errorf("%s is written as\n%x, and was\n%x", name, b, got)
		}
	}
}

func golden(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(goldenFolder, name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b
}

// TestGoldenFrames: what was written is read as what it was.
func TestGoldenFrames(t *testing.T) {
	for name, want := range goldenFrames() {
		r := bufio.NewReader(bytes.NewReader(golden(t, name)))
		got, err := readFrame(r)
		if err != nil || !reflect.DeepEqual(&got, want) || r.Buffered() > 0 {
			t.Errorf("%s is read as %+v, %v; want %+v", name, got, err, want)
		}
	}
	h, err := readHello(bytes.NewReader(golden(t, "hello")), bindingHere)
	if err != nil || string(h.payload) != "hello" || h.session != (sessionID{}) || !h.key.Equal(keyOf("agent").Public()) {
		t.Errorf("the hello is read as %+v, %v", h, err)
	}
	w, err := readWelcome(bytes.NewReader(golden(t, "welcome")))
	if err != nil || w.session != (sessionID{0xa1, 15: 0xa2}) || w.lane != 1 || string(w.payload) != "answer" {
		t.Errorf("the welcome is read as %+v, %v", w, err)
	}
	w, err = readWelcome(bytes.NewReader(golden(t, "refusal")))
	if err != nil || w.refusal == nil || *w.refusal != (Refusal{CodeBusy, "later"}) {
		t.Errorf("the refusal is read as %+v, %v", w, err)
	}
}

// TestSpecExamples: spec.md shows the bytes of testdata/wire, each once.
func TestSpecExamples(t *testing.T) {
	want := goldens()
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^    ([a-z-]+):((?:[ \n]+[0-9a-f]{2,})+)$").FindAllStringSubmatch(spec(t), -1) {
		b, err := hex.DecodeString(strings.Join(strings.Fields(m[2]), ""))
		if err != nil || !bytes.Equal(b, want[m[1]]) {
			t.Errorf("the example %s is %x, %v; want %x", m[1], b, err, want[m[1]])
		}
		if seen[m[1]] {
			t.Errorf("the example %s is there twice", m[1])
		}
		seen[m[1]] = true
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !seen[name] {
			t.Errorf("no example %s:\n    %s: %s", name, name, spaced(want[name]))
		}
	}
}

// spaced is b in hex, byte by byte.
func spaced(b []byte) string { return strings.Trim(fmt.Sprintf("% x", b), " ") }

// TestSpecNumbers: the limits, times and codes of spec.md are the code's.
func TestSpecNumbers(t *testing.T) {
	text := spec(t)
	for name, want := range map[string]any{
		"MaxPayload": MaxPayload, "MaxHead": MaxHead, "MaxData": MaxData, "MaxLanes": MaxLanes, "maxJoined": maxJoined,
		"MaxStreams": MaxStreams, "FirstCredit": FirstCredit, "ControlCredit": ControlCredit, "MaxCredit": MaxCredit, "maxMessage": maxMessage, "maxPieces": maxPieces,
		"HandshakeTimeout": HandshakeTimeout, "ResumeTimeout": ResumeTimeout, "silence": silence, "pingEvery": pingEvery,
		"patience": patience, "probeTimeout": probeTimeout, "ackDelay": ackDelay, "closeTimeout": closeTimeout, "retireDelay": retireDelay,
		"codeClosed": codeClosed, "CodeFailed": CodeFailed, "CodeBadHello": CodeBadHello, "CodeBadProof": CodeBadProof,
		"CodeNoSession": CodeNoSession, "CodeReplaced": CodeReplaced, "CodeBusy": CodeBusy, "codeDrained": codeDrained,
		"CodeUnknownKey": CodeUnknownKey, "CodeRevoked": CodeRevoked, "CodeBadToken": CodeBadToken, "CodeNameTaken": CodeNameTaken,
		"CodeBadClaim": CodeBadClaim, "CodeEnded": CodeEnded, "CodeReleased": CodeReleased,
	} {
		m := regexp.MustCompile(`(?m)^\| ` + name + ` \| ([^|]*) \|`).FindStringSubmatch(text)
		if m == nil || m[1] != fmt.Sprint(want) {
			t.Errorf("spec.md says %q of %s, which is %v", m, name, want)
		}
	}
}

func spec(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("spec.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
