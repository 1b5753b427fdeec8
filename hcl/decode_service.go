package hcl

import (
	"net"
	"reflect"
	"regexp"
	"strconv"

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
	service := &Service{Name: b.label, Range: b.header}
	v, present := d.get(b.body, "upstream")
	switch {
	case present:
		service.Upstream = d.decodeUpstream(v)
	case !b.body.damaged:
		d.errorf(b.header, "write upstream = 3000", "%s has no upstream", b.title())
	}
	if v, present := d.get(b.body, "balance"); present {
		d.checkBalance(v)
	}
	service.TLSSkipVerify = d.boolean(b.body, "tls_skip_verify")
	service.Hold = d.decodeDuration(b.body, "hold")
	service.Timeout = d.decodeDuration(b.body, "timeout")
	return service
}

// checkBalance lets only round_robin pass, which is what is done anyway.
func (d *decoder) checkBalance(v value) {
	text, ok := d.str(v, "balance")
	switch {
	case !ok || text == "round_robin":
	case text == "least_conn" || text == "cookie":
		d.errorf(v.at(), `it takes turns now: write "round_robin", or leave balance out`, "balance %q is not built yet", text)
	default:
		d.errorf(v.at(), didYouMean(text, []string{"round_robin", "least_conn", "cookie"}, `write "round_robin"`), "there is no balance %q", text)
	}
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
		object["port"] = cty.NumberIntVal(int64(m.Port))
		object["url"] = cty.StringVal(string(scheme) + "://" + net.JoinHostPort(host, strconv.Itoa(int(m.Port))))
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
