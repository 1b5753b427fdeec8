package hcl

import (
	"net"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// serviceKey is the attribute of a service's value that holds its *Service;
// no expression can name it.
const serviceKey = " service"

func newServiceType() cty.Type { return cty.Capsule("service", reflect.TypeFor[Service]()) }

var identifier = regexp.MustCompile(`^[A-Za-z_][\w-]*$`)

// addService makes b what service.NAME refers to.
func (d *decoder) addService(b *block) {
	if b.label == "" {
		// Its name was reported; its inside is still worth a look.
		d.decodeService(b)
		return
	}
	if !identifier.MatchString(b.label) {
		d.errorf(b.labelRange, `write letters, digits, "-" and "_"`, "%q is no name for a service", b.label)
	}
	if first := d.scope.services[b.label]; first != nil {
		d.errorf(b.labelRange, "the first is at "+place(first.at), "a second service %q", b.label)
		d.decodeService(b)
		return
	}
	d.scope.services[b.label] = &node{title: "service." + b.label, at: b.labelRange, eval: func() cty.Value {
		service := d.decodeService(b)
		d.services[b] = service
		if service.Upstream == nil {
			return cty.DynamicVal
		}
		return d.serviceValue(service)
	}}
}

func (d *decoder) decodeService(b *block) *Service {
	defer d.enter(b)()
	service := &Service{Name: b.label, Range: b.header}
	v, present := d.get(b.body, "upstream")
	switch {
	case present:
		service.Upstream = d.decodeUpstream(v)
	case !b.body.damaged:
		d.errorf(b.header, "write upstream = 3000", "%s has no upstream", b.title())
	}
	service.Balance = d.decodeBalance(b.body)
	service.Health = d.decodeHealth(b.body)
	if v, present := d.get(b.body, "fallback"); present {
		service.Fallback = d.decodeUpstream(v)
	}
	service.TLSSkipVerify = d.boolean(b.body, "tls_skip_verify")
	service.ForwardedProto = d.decodeForwardedProto(b.body)
	service.Hold = d.decodeDuration(b.body, "hold")
	service.Timeout = d.decodeDuration(b.body, "timeout")
	service.takeOver(b.body)
	d.findOwnFallback(service)
	return service
}

// decodeBalance decodes how requests are spread over members.
func (d *decoder) decodeBalance(b *body) Balance {
	v, present := d.get(b, "balance")
	if !present {
		return BalanceRoundRobin
	}
	forms := []string{string(BalanceRoundRobin), string(BalanceLeastConn), string(BalanceCookie)}
	switch {
	case !v.known():
		return BalanceRoundRobin
	case v.Type() != cty.String:
		d.errorf(v.at(), "write "+list(strings.Split(quoteList(forms), ", ")), "balance is a string")
		return BalanceRoundRobin
	}
	text := v.AsString()
	if slices.Contains(forms, text) {
		return Balance(text)
	}
	detail := didYouMean(text, forms, "write "+list(strings.Split(quoteList(forms), ", ")))
	if text == "ip_hash" || text == "sticky" || text == "hash" {
		detail = `write "cookie": a browser keeps its member`
	}
	d.errorf(v.at(), detail, "there is no balance %q", text)
	return BalanceRoundRobin
}

// takeOver fills in what s leaves out from the service that it is another name
// of.
func (s *Service) takeOver(b *body) {
	if s.Upstream == nil || s.Upstream.Service == nil {
		return
	}
	from := s.Upstream.Service
	for name, take := range map[string]func(){
		"balance":         func() { s.Balance = from.Balance },
		"health":          func() { s.Health = from.Health },
		"fallback":        func() { s.Fallback = from.Fallback },
		"tls_skip_verify": func() { s.TLSSkipVerify = from.TLSSkipVerify },
		"forwarded_proto": func() { s.ForwardedProto = from.ForwardedProto },
		"hold":            func() { s.Hold = from.Hold },
		"timeout":         func() { s.Timeout = from.Timeout },
	} {
		if b.attrs[name] == nil {
			take()
		}
	}
}

// findOwnFallback warns of a fallback that goes where nothing answered already.
func (d *decoder) findOwnFallback(s *Service) {
	if s.Upstream == nil || s.Fallback == nil {
		return
	}
	for _, m := range s.Fallback.Members {
		if slices.ContainsFunc(s.Upstream.Members, func(own Member) bool { return sameAddress(own, m) }) {
			d.warnf(s.Fallback.Range, "name another address, or leave fallback out", "the fallback %s is among the addresses of upstream", m.Text)
			return
		}
	}
}

func sameAddress(a, b Member) bool {
	return a.Scheme == b.Scheme && a.Host == b.Host && a.Port == b.Port && a.Socket == b.Socket
}

// serviceValue is what service.NAME is in an expression.
func (d *decoder) serviceValue(service *Service) cty.Value {
	object := map[string]cty.Value{serviceKey: cty.CapsuleVal(d.serviceType, service)}
	if members := service.Upstream.Members; len(members) == 1 && members[0].Port != 0 {
		m := members[0]
		host, scheme := m.Host, m.Scheme
		if host == "" {
			host = "127.0.0.1"
		}
		if scheme == SchemeH2C {
			scheme = SchemeHTTP
		}
		object["port"] = cty.NumberIntVal(int64(m.Port)).WithMarks(m.Flow.marks())
		object["url"] = cty.StringVal(string(scheme) + "://" + net.JoinHostPort(host, strconv.Itoa(int(m.Port)))).WithMarks(m.Flow.marks())
	}
	return cty.ObjectVal(object)
}

// serviceOf is the service that v is; nil when it is something else.
func (d *decoder) serviceOf(v cty.Value) *Service {
	if !v.IsKnown() || v.IsNull() || !v.Type().IsObjectType() || !v.Type().HasAttribute(serviceKey) {
		return nil
	}
	inner := v.GetAttr(serviceKey)
	if inner.Type() != d.serviceType {
		return nil
	}
	return inner.EncapsulatedValue().(*Service)
}

// checkServiceAttribute reports service.NAME.WORD for words that a service
// does not have.
func (s *scope) checkServiceAttribute(name string, v cty.Value, reference hcl.Traversal, t *text) bool {
	if len(reference) < 3 || !v.IsKnown() {
		return true
	}
	step, is := reference[2].(hcl.TraverseAttr)
	if !is {
		return true
	}
	at := t.rangeOf(step.SrcRange)
	if step.Name != "port" && step.Name != "url" {
		s.d.errorf(at, didYouMean(step.Name, []string{"port", "url"}, "it has port and url"), "a service has no %q", step.Name)
		return false
	}
	if !v.Type().HasAttribute(step.Name) {
		s.d.errorf(at, "only a service with one address and a port has it", "service %q has no single %s", name, step.Name)
		return false
	}
	return true
}
