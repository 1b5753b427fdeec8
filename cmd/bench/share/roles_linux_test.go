package share

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel/wan"
)

// quick are the table's rows with less of everything.
func quick() []row {
	return []row{
		{"small", "", 20, 4 << 10, 4, alone},
		{"download", "", 1, 300_000, 1, alone},
	}
}

// TestPairs runs the tunnel and the probe in namespaces, on a path that is
// kinder than the table's, and wants every answer complete.
func TestPairs(t *testing.T) {
	b := bench{path: wan.Config{RTT: 10 * time.Millisecond, Loss: 0.5, Rate: 100}, rows: quick(), raw: true, probe: true, warm: true, lanes: []int{8}, repeats: 1}
	for _, s := range b.systems("cubic") {
		t.Run(s.name, func(t *testing.T) {
			col, err := b.measure(t.Context(), s)
			skipWithoutPath(t, err)
			if err != nil {
				t.Fatal(err)
			}
			if len(col.Rows) != len(b.rows) {
				t.Fatalf("%d rows, want %d", len(col.Rows), len(b.rows))
			}
			for i, res := range col.Rows {
				want := b.rows[i]
				if res.Row != want.Name || res.OK != want.Requests || len(res.Errors) > 0 {
					t.Errorf("%+v, want %d answers", res, want.Requests)
				}
				if res.P50 < 10 {
					t.Errorf("row %s: p50 is %v ms, less than the round trip", res.Row, res.P50)
				}
				if res.Session.Congestion != "cubic" {
					t.Errorf("row %s: congestion control %q, want cubic", res.Row, res.Session.Congestion)
				}
			}
		})
	}
}

func skipWithoutPath(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, wan.ErrUnsupported) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
}

// TestVisitors has visitors load an application directly.
func TestVisitors(t *testing.T) {
	upstream := again(t, `{"role":"upstream","addr":"127.0.0.1:0"}`)
	var m message
	if err := upstream.Next(&m); err != nil {
		t.Fatal(err)
	}
	visitors := again(t, `{"role":"visitors","url":"http://shop.test","dial":"`+m.Ready+`","game":"`+m.Ready+`","patient":true,"rows":[
		{"name":"small","requests":20,"size":4096,"workers":4,"kind":"alone"},
		{"name":"during","requests":20,"size":4096,"workers":4,"kind":"during"},
		{"name":"game","requests":20,"size":100,"workers":1,"kind":"game"}]}`)
	for _, name := range []string{"small", "during", "game"} {
		var m message
		if err := visitors.Next(&m); err != nil {
			t.Fatal(err)
		}
		if m.Result.Row != name || m.Result.OK != 20 || len(m.Result.Errors) > 0 {
			t.Errorf("%+v", m.Result)
		}
	}
}

// TestProcess compares a child's figures with the system's.
func TestProcess(t *testing.T) {
	c := again(t, `{"role":"upstream","addr":"127.0.0.1:0"}`)
	var m message
	if err := c.Next(&m); err != nil {
		t.Fatal(err)
	}
	if kb, err := c.ResidentKB(); err != nil || kb < 1000 || kb > 1_000_000 {
		t.Errorf("%d KB: %v", kb, err)
	}
	if n, err := c.DescriptorLimit(); err != nil || n < 64 {
		t.Errorf("%d descriptors: %v", n, err)
	}
	if _, err := c.CPU(); err != nil {
		t.Error(err)
	}
	c.Stop()
	if _, err := c.CPU(); err == nil {
		t.Error("a process that is gone has figures")
	}
}
