package tunnel

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCheckPorts(t *testing.T) {
	many := make([]Port, MaxPorts+1)
	for i := range many {
		many[i] = Port{TCP, strings.Repeat("p", i+1)}
	}
	for name, c := range map[string]struct {
		ports []Port
		why   string
	}{
		"none":            {nil, ""},
		"as many as may":  {many[:MaxPorts], ""},
		"too many":        {many, "at most 8 ports, not 9"},
		"both networks":   {[]Port{{TCP, "dns"}, {UDP, "dns"}}, ""},
		"twice":           {[]Port{{TCP, "dns"}, {TCP, "dns"}}, "claimed twice"},
		"another network": {[]Port{{"sctp", "dns"}}, "neither tcp nor udp"},
		"without a name":  {[]Port{{TCP, ""}}, "is not valid"},
		"a digit first":   {[]Port{{TCP, "9p"}}, "is not valid"},
		"a space":         {[]Port{{TCP, "a b"}}, "is not valid"},
		"a long name":     {[]Port{{TCP, strings.Repeat("a", 64)}}, "is not valid"},
		"a longest name":  {[]Port{{TCP, "_" + strings.Repeat("A", 62)}}, ""},
	} {
		err := CheckPorts(c.ports)
		if c.why == "" && err != nil || c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)) {
			t.Errorf("%s: %v; want an error with %q", name, err, c.why)
		}
	}
}

// TestPortsInJSON: a share without ports sends what it always did.
func TestPortsInJSON(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{Claim{}, `{"project":"","hosts":null}`},
		{Claim{Ports: []Port{{TCP, "postgres"}}}, `{"project":"","hosts":null,"ports":[{"network":"tcp","name":"postgres"}]}`},
		{Grant{}, `{"domain":"","port":0,"hosts":null}`},
		{Grant{Ports: []int{20017, 0}, PortsRefused: "full"}, `{"domain":"","port":0,"hosts":null,"ports":[20017,0],"ports_refused":"full"}`},
	} {
		if got, err := json.Marshal(c.value); err != nil || string(got) != c.want {
			t.Errorf("%+v is %s, %v; want %s", c.value, got, err, c.want)
		}
	}
}
