package zone

import (
	"encoding/binary"

	"github.com/miekg/dns"
)

const (
	// headerBytes is the length of a message's header (RFC 1035 section 4.1.1).
	headerBytes = 12
	// maxDatagram is the longest answer in a datagram, in bytes, whatever a client says
	// that it can take. What is longer is truncated, and the client asks again over TCP,
	// where it cannot pretend to be another.
	maxDatagram = 512
	// ednsSize is the size of datagrams that the server says it takes (RFC 6891 section
	// 6.2.3): what fits into one packet everywhere.
	ednsSize = 1232
)

// The outcomes of queries, for metrics.
const (
	outcomeAnswered  = "answered"  // with records, or with the fact that there are none
	outcomeRefused   = "refused"   // another zone, a transfer, another class
	outcomeMalformed = "malformed" // FORMERR, BADVERS or NOTIMP
	outcomeIgnored   = "ignored"   // a response, or less than a header
	outcomeLimited   = "limited"   // by the rate of a network or of all
)

// answer returns the response to a query, in wire format; nil if there is none.
// datagram is whether it came over UDP.
func (z *Zone) answer(query []byte, datagram bool) (response []byte, outcome string) {
	if len(query) < headerBytes || query[2]&0x80 != 0 { // too short to answer, or itself a response
		return nil, outcomeIgnored
	}
	var q dns.Msg
	if q.Unpack(query) != nil {
		return failure(query, dns.RcodeFormatError), outcomeMalformed
	}
	reply := new(dns.Msg)
	reply.Id, reply.Response, reply.Opcode, reply.RecursionDesired = q.Id, true, q.Opcode, q.RecursionDesired
	reply.Compress = true
	outcome = z.reply(&q, reply)
	if datagram {
		reply.Truncate(maxDatagram)
	}
	packed, err := reply.Pack()
	if err != nil {
		return failure(query, dns.RcodeServerFailure), outcomeMalformed
	}
	return packed, outcome
}

// failure returns a response without a question, which is no longer than the query.
func failure(query []byte, code int) []byte {
	h := make([]byte, headerBytes)
	copy(h, query[:2])          // the ID
	h[2] = 0x80 | query[2]&0x79 // a response, with the query's opcode and RD
	binary.BigEndian.PutUint16(h[2:], binary.BigEndian.Uint16(h[2:])|uint16(code))
	return h
}

// truncated returns the response that makes a client ask again over TCP. It is as
// long as the query's header and question.
func truncated(query []byte) []byte {
	var q dns.Msg
	if len(query) < headerBytes || query[2]&0x80 != 0 || q.Unpack(query) != nil || len(q.Question) != 1 {
		return nil
	}
	reply := new(dns.Msg)
	reply.SetReply(&q)
	reply.Truncated = true
	packed, err := reply.Pack()
	if err != nil || len(packed) > len(query) {
		return nil
	}
	return packed
}

// reply fills in the response to a query.
func (z *Zone) reply(q, reply *dns.Msg) string {
	fail := func(code int, outcome string) string {
		reply.Rcode = code
		return outcome
	}
	if q.Opcode != dns.OpcodeQuery { // NOTIFY, UPDATE and others
		return fail(dns.RcodeNotImplemented, outcomeMalformed)
	}
	options := 0
	for _, extra := range q.Extra {
		if extra.Header().Rrtype == dns.TypeOPT {
			options++
		}
	}
	if len(q.Question) != 1 || len(q.Answer) > 0 || options > 1 {
		return fail(dns.RcodeFormatError, outcomeMalformed)
	}
	question := q.Question[0]
	reply.Question = q.Question
	if opt := q.IsEdns0(); opt != nil {
		reply.SetEdns0(ednsSize, false)
		if opt.Version() != 0 {
			return fail(dns.RcodeBadVers, outcomeMalformed)
		}
	}
	name := dns.CanonicalName(question.Name)
	switch kind := question.Qtype; {
	case question.Qclass != dns.ClassINET || !z.contains(name):
		return fail(dns.RcodeRefused, outcomeRefused)
	case kind == dns.TypeAXFR || kind == dns.TypeIXFR:
		return fail(dns.RcodeRefused, outcomeRefused)
	case kind == dns.TypeOPT || kind == dns.TypeTSIG || kind == dns.TypeTKEY: // not types of records
		return fail(dns.RcodeFormatError, outcomeMalformed)
	}
	z.lookup(name, question, reply)
	return outcomeAnswered
}

// lookup answers a question about a name of the zone.
func (z *Zone) lookup(name string, question dns.Question, reply *dns.Msg) {
	reply.Authoritative = true
	records, exists := z.find(name, question.Qtype)
	switch {
	case !exists:
		reply.Rcode = dns.RcodeNameError
	case question.Qtype == dns.TypeANY: // RFC 8482 section 4.2
		records = []dns.RR{&dns.HINFO{Hdr: head(name, dns.TypeHINFO, zoneTTL), Cpu: "RFC8482"}}
	}
	if len(records) == 0 {
		reply.Ns = []dns.RR{z.soa(z.apex(name), absenceTTL)}
		return
	}
	for _, record := range records {
		record.Header().Name = question.Name // in the client's capitals, which it compares
	}
	reply.Answer = records
	if question.Qtype == dns.TypeNS {
		reply.Extra = append(z.addressesOf(z.nameServer, dns.TypeA), append(z.addressesOf(z.nameServer, dns.TypeAAAA), reply.Extra...)...)
	}
}
