package hcl

import (
	"cmp"
	"fmt"
	"net"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// serviceEntries are the attributes of a service, except for those that go with command.
// All but upstream, command and container are taken from another service if upstream is one; null
// undoes that.
func serviceEntries() []entry[Service] {
	return []entry[Service]{
		{name: "upstream"},
		{name: "balance", null: true, decode: func(f field, s *Service) { s.Balance = decodeBalance(f) }},
		{name: "health", null: true, decode: func(f field, s *Service) { s.Health = decodeHealth(f.value) }},
		{name: "fallback", null: true, decode: func(f field, s *Service) {
			s.Fallback = nil
			if !f.IsNull() {
				s.Fallback = decodeUpstream(f.value)
			}
		}},
		{name: "tls_skip_verify", null: true, decode: func(f field, s *Service) { s.TLSSkipVerify = f.boolean() }},
		{name: "forwarded_proto", null: true, decode: func(f field, s *Service) { s.ForwardedProto = decodeForwardedProto(f) }},
		{name: "hold", null: true, decode: func(f field, s *Service) { s.Hold = f.nonNegative() }},
		{name: "timeout", null: true, decode: func(f field, s *Service) { s.Timeout = f.nonNegative() }},
		{name: "command"},
		{name: "container"},
	}
}

// serviceKey is the attribute of a service's value that holds its *Service; no
// expression can name it.
const serviceKey = " service"

// serviceType is the type of that attribute.
var serviceType = cty.Capsule("service", reflect.TypeFor[Service]())

var identifier = regexp.MustCompile(`^[A-Za-z_][\w-]*$`)

// addService makes b the target of service.NAME.
func (d *decoder) addService(b *block) {
	if b.label == "" {
		// Its name was reported. Its content is checked all the same.
		d.decodeService(b)
		return
	}
	if !identifier.MatchString(b.label) {
		d.at(b.labelRange).errorf(`write letters, digits, "-" and "_"`, "%q is not a valid name for a service", b.label)
	}
	if first := d.services[b.label]; first != nil {
		d.at(b.labelRange).errorf("the first one is at "+first.at.line(), "duplicate service %q", b.label)
		d.decodeService(b)
		return
	}
	service := &Service{}
	d.file.Services = append(d.file.Services, service)
	d.services[b.label] = &node{title: "service." + b.label, at: b.labelRange, attr: b.attrs["upstream"], eval: func() cty.Value {
		*service = *d.decodeService(b)
		if service.Upstream == nil {
			return cty.DynamicVal
		}
		return d.serviceValue(service)
	}}
}

func (d *decoder) decodeService(b *block) *Service {
	service := &Service{Balance: BalanceRoundRobin}
	if f, present := d.get(b, "container"); present {
		if service.Container = d.decodeContainer(b, f); service.Container != nil {
			service.Upstream = &Upstream{Text: service.Container.String(), Range: f.at()}
		}
		service.Name, service.Range = b.label, b.header
		decodeBlock(d.scope, b, serviceEntries(), service)
		return service
	}
	f, present := d.get(b, "upstream")
	asked := uint16(0) // where a command is asked to listen
	switch {
	case present:
		service.Upstream = decodeUpstream(f.value)
		asked = service.Upstream.ownPort()
	case b.attrs["command"] != nil:
		var actual uint16
		asked, actual = d.env.ports(b.label)
		member := portMember(actual)
		member.Range = b.header
		service.Upstream = &Upstream{Members: []Member{*member}, Text: strconv.Itoa(int(actual)), Range: b.header}
	case !b.damaged:
		d.at(b.header).errorf(`write upstream = 3000 for a server that you start, command = "pnpm dev" for one that devproxy starts, or container = "api" for one of compose`,
			"%s has no upstream and no command", b.title())
	}
	if u := service.Upstream; u != nil && u.Service != nil {
		*service = *u.Service
		service.Upstream = u
	}
	service.Name, service.Range = b.label, b.header
	service.Command = d.decodeCommand(b, asked, !present)
	decodeBlock(d.scope, b, serviceEntries(), service)
	d.findOwnFallback(service)
	return service
}

// ownPort is the port of this machine that u is; 0 for anything else.
func (u *Upstream) ownPort() uint16 {
	if u == nil || u.Service != nil {
		return 0
	}
	return u.ownPortOf()
}

// decodeBalance decodes how requests are spread over members.
func decodeBalance(f field) Balance {
	forms := []string{string(BalanceRoundRobin), string(BalanceLeastConn), string(BalanceCookie)}
	const sticky = `write "cookie", which keeps a browser at its member`
	word := f.oneOf(forms, map[string]string{"ip_hash": sticky, "sticky": sticky, "hash": sticky})
	return cmp.Or(Balance(word), BalanceRoundRobin)
}

// findOwnFallback warns of a fallback to an address that has already failed.
func (d *decoder) findOwnFallback(service *Service) {
	if service.Upstream == nil || service.Fallback == nil {
		return
	}
	for _, m := range service.Fallback.Members {
		if slices.ContainsFunc(service.Upstream.Members, m.sameAddress) {
			d.at(service.Fallback.Range).warnf("use another address, or remove fallback", "the fallback %s is also an address of upstream", m.Text)
			return
		}
	}
}

// serviceValue returns what service.NAME is in an expression.
func (d *decoder) serviceValue(service *Service) cty.Value {
	object := map[string]cty.Value{serviceKey: cty.CapsuleVal(serviceType, service)}
	if host := d.origins[service.Name]; host != "" {
		object["origin"] = cty.StringVal(d.originOf(host))
	}
	if members := service.Upstream.Members; len(members) == 1 && members[0].Port != 0 {
		m := members[0]
		host, scheme := cmp.Or(m.Host, "127.0.0.1"), m.Scheme
		if scheme == SchemeH2C {
			scheme = SchemeHTTP
		}
		object["port"] = cty.NumberIntVal(int64(m.Port)).WithMarks(m.Flow.marks())
		object["url"] = cty.StringVal(string(scheme) + "://" + net.JoinHostPort(host, strconv.Itoa(int(m.Port)))).WithMarks(m.Flow.marks())
	}
	return cty.ObjectVal(object)
}

// serviceOf returns the service that v is; nil if it is something else.
func serviceOf(v cty.Value) *Service {
	if !v.IsKnown() || v.IsNull() || !v.Type().IsObjectType() || !v.Type().HasAttribute(serviceKey) {
		return nil
	}
	inner := v.GetAttr(serviceKey)
	if inner.Type() != serviceType {
		return nil
	}
	return inner.EncapsulatedValue().(*Service)
}

// The defaults of health.
const (
	defaultInterval = 2 * time.Second
	defaultProbe    = time.Second
	defaultRise     = 1
	defaultFall     = 2
)

const (
	// minInterval keeps a dev server's log readable and the machine responsive.
	minInterval = 100 * time.Millisecond
	maxInterval = time.Hour
	// maxInARow bounds rise and fall. With more, a member's state would not change.
	maxInARow = 100
)

// decodeHealth decodes the health attribute of a service.
func decodeHealth(v value) *Health {
	if !v.IsKnown() || v.IsNull() {
		return nil
	}
	if !v.isObject() {
		path := "/healthz"
		if v.is(cty.String) && strings.HasPrefix(v.AsString(), "/") {
			path = v.AsString()
		}
		v.errorf(fmt.Sprintf("write health = { path = %q }", path), "health must be an object")
		return nil
	}
	h := &Health{Rise: defaultRise, Fall: defaultFall}
	before := len(v.scope.diags)
	hasPath, timeout := false, v
	decodeObject(v, "health", []entry[Health]{
		{name: "path", decode: func(f field, h *Health) {
			hasPath = true
			h.Path, h.Flow = f.healthPath(), f.flow()
		}},
		{name: "interval", decode: func(f field, h *Health) { h.Interval = f.within("an interval", minInterval, maxInterval) }},
		{name: "timeout", decode: func(f field, h *Health) {
			timeout = f.value
			h.Timeout = f.within("a timeout", time.Millisecond, maxInterval)
		}},
		{name: "rise", decode: func(f field, h *Health) { h.Rise = f.count("rise", maxInARow) }},
		{name: "fall", decode: func(f field, h *Health) { h.Fall = f.count("fall", maxInARow) }},
		{name: "status", decode: func(f field, h *Health) { h.Status = f.status("200") }},
	}, h)
	if all := v.comesFrom(); all.Computed {
		h.Flow = h.Flow.and(all) // members and clients notice the effect of the other fields
	}
	if !hasPath {
		v.errorf(`write health = { path = "/healthz" }`, "health needs a path")
	}
	if len(v.scope.diags) > before || h.Path == "" {
		return nil
	}
	h.Interval = cmp.Or(h.Interval, max(defaultInterval, h.Timeout))
	h.Timeout = cmp.Or(h.Timeout, min(defaultProbe, h.Interval))
	if h.Timeout > h.Interval {
		timeout.errorf(suggest(h.Interval.String())+", or a longer interval", "the timeout is longer than the interval of %s", h.Interval)
		return nil
	}
	return h
}

// healthPath checks the path, with its query, that is requested from members.
func (v value) healthPath() string {
	text, ok := v.str("path")
	before, _, fragment := strings.Cut(text, "#")
	if !ok || !v.place().passes(
		when(strings.Contains(text, "://"), `write "/healthz"; it is requested from each address of upstream`, "a path can't be a URL"),
		when(!strings.HasPrefix(text, "/"), suggest("/"+text), `a path must begin with "/"`),
		when(strings.HasPrefix(text, "//"), suggest("/"+strings.TrimLeft(text, "/")), "a path can't have an empty segment"),
		when(fragment, suggest(before), "a path can't have a fragment, which is not sent"),
		when(strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7F }),
			"write it with % escapes, as it is sent", "the path of a health check must be ASCII without spaces"),
	) {
		return ""
	}
	return text
}
