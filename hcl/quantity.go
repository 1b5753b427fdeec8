package hcl

import (
	"cmp"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
)

const (
	// maxDuration bounds how long something may wait.
	maxDuration = 365 * 24 * time.Hour
	// maxSize is the largest size that a file may set, in bytes.
	maxSize = 1 << 40
	// maxRate bounds rates and bursts. A higher one limits nothing, and this fits
	// everywhere.
	maxRate = 1_000_000
	// maxAmount bounds the characters of a number with a unit.
	maxAmount = 25
)

// measure is a number with a unit: "10MB", "1.5Mbit/s", "100/m", "5%".
type measure struct{ number, unit, per string }

// measureForm matches measures in all forms that people write: "10 mb", "1.5Mbps",
// "100 requests per minute".
var measureForm = regexp.MustCompile(`^\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-zµ%]*?)\s*(?:(?:/|(?i:per|p))\s*([A-Za-z]+))?\s*$`)

func (m measure) String() string {
	return strings.TrimSuffix(m.number+m.unit+"/"+m.per, "/")
}

// measure returns v, a string, as text and parsed. The measure is zero if the text
// is something else. Diagnostics call v what; for a number they say ofNumber, and
// for any other value example.
func (v value) measure(what, example, ofNumber string) (text string, m measure, ok bool) {
	switch {
	case !v.known():
		return "", measure{}, false
	case v.Type() != cty.String:
		if v.Type() == cty.Number {
			example = cmp.Or(ofNumber, example)
		}
		v.errorf(example, "%s must be a string", what)
		return "", measure{}, false
	}
	text = v.AsString()
	if groups := measureForm.FindStringSubmatch(text); groups != nil {
		m = measure{groups[1], groups[2], groups[3]}
	}
	return text, m, true
}

// nonNegative returns v as a duration that is not negative; nil for null and for a
// mistake.
func (v value) nonNegative() *time.Duration {
	duration, ok := v.duration()
	switch {
	case !ok:
		return nil
	case duration < 0:
		v.errorf(`write "0s" for none`, "a duration can't be negative")
		return nil
	case duration > maxDuration:
		v.errorf(`write "0s" for no limit`, "%q is more than a year", v.AsString())
		return nil
	}
	return &duration
}

// within returns v as a duration in the given range; 0 for a mistake.
func (v value) within(what string, shortest, longest time.Duration) time.Duration {
	duration, ok := v.duration()
	if ok && (duration < shortest || duration > longest) {
		v.errorf(fmt.Sprintf("write one from %q to %q", short(shortest), short(longest)), "%s of %q is out of range", what, v.AsString())
		return 0
	}
	return duration
}

// short returns d without the zero units at its end.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// duration returns v as a duration, which may be negative.
func (v value) duration() (duration time.Duration, ok bool) {
	text, m, ok := v.measure("a duration", `write one like "30s"`, suggest(v.written()+"s"))
	if !ok {
		return 0, false
	}
	duration, err := time.ParseDuration(text)
	if err != nil {
		v.errorf(durationHint(m), "%q is not a valid duration", text)
		return 0, false
	}
	return duration, true
}

// durationHint returns the value that was probably meant by m.
func durationHint(m measure) string {
	units := map[string]string{
		"": "s", "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "m": "m", "min": "m", "mins": "m", "minute": "m", "minutes": "m",
		"h": "h", "hr": "h", "hour": "h", "hours": "h", "ms": "ms", "msec": "ms", "millis": "ms", "milliseconds": "ms", "d": "d", "day": "d", "days": "d",
	}
	unit := units[strings.ToLower(m.unit)]
	days, err := strconv.Atoi(m.number)
	switch {
	case m.number == "" || m.per != "" || unit == "" || unit == "d" && (err != nil || days > 365):
		return `write it like "30s", "1m30s" or "500ms"`
	case unit == "d":
		return suggest(strconv.Itoa(days*24) + "h")
	}
	return suggest(m.number + unit)
}

// size returns v as a number of bytes, at least 1.
func (v value) size(what string) (size int64, ok bool) {
	ofNumber := suggest(v.written()+"B") + " for bytes, or use kB, MB or MiB"
	if n, whole := integer(v.Value); whole && n == 0 && what == "max_body" {
		ofNumber = `write "0" for none`
	}
	return v.bytes(what, "size", "", `write one like "10MB" or "512KiB"`, ofNumber)
}

// bandwidth returns v in bytes per second; 0 for a mistake.
func (v value) bandwidth() int64 {
	n, _ := v.bytes("bandwidth", "bandwidth", "s", `write one like "1.5Mbit/s" or "200kB/s"`, "")
	return n
}

// bytes returns v as a number of bytes, or with per of bytes in that time. kind is
// what diagnostics call such a value.
func (v value) bytes(what, kind, per, example, ofNumber string) (n int64, ok bool) {
	text, m, ok := v.measure(what, example, ofNumber)
	if !ok {
		return 0, false
	}
	// Powers of 1000 as in SI, and of 1024 with an "i" (IEC 80000-13). Many people
	// write "KB" for kB.
	units := map[string]int64{"B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
	unit, bits := units[m.unit], int64(1)
	if base, is := strings.CutSuffix(m.unit, "bit"); is && per != "" {
		unit, bits = units[base+"B"], 8
	}
	if unit == 0 || text != (measure{m.number, m.unit, per}).String() {
		v.errorf(bytesHint(m, per, example), "%q is not a valid %s", text, kind)
		return 0, false
	}
	if n, ok = m.scale(unit, bits); !ok || n > maxSize {
		v.errorf(fmt.Sprintf("write one from %q to %q", measure{"1", "B", per}, measure{"1024", "GiB", per}), "the %s %q is out of range", kind, text)
		return 0, false
	}
	return n, true
}

// looseUnit matches units in all forms that people write: "mb", "Kbytes", "MBIT".
var looseUnit = regexp.MustCompile(`^(?:([KMGkmg])([Ii]?))?(?:(B|(?i:bytes?))|(?i:b|bits?)|)$`)

// bytesHint returns the value that was probably meant by m: "10mb", "1.5Mbps",
// "200 KB/s".
func bytesHint(m measure, per, example string) string {
	groups := looseUnit.FindStringSubmatch(m.unit)
	isBits := strings.Contains(strings.ToLower(m.unit), "bit")
	if m.number == "" || groups == nil || per == "" && (isBits || m.per != "") || !slices.Contains([]string{"", "s", "sec", "second"}, m.per) {
		return example
	}
	prefix := strings.Replace(strings.ToUpper(groups[1]), "K", "k", 1)
	if groups[2] != "" {
		prefix = strings.ToUpper(prefix) + "i"
	}
	if groups[3] != "" || per == "" {
		return suggest(measure{m.number, prefix + "B", per}.String())
	}
	return suggest(measure{m.number, prefix + "bit", per}.String())
}

// scale returns the number of m times by divided by per, rounded down. It is not
// ok below 1.
func (m measure) scale(by, per int64) (n int64, ok bool) {
	if len(m.number) > maxAmount {
		return 0, false
	}
	exact, ok := new(big.Rat).SetString(m.number)
	if !ok {
		return 0, false
	}
	exact.Mul(exact, big.NewRat(by, per))
	whole := new(big.Int).Quo(exact.Num(), exact.Denom())
	if !whole.IsInt64() || whole.Int64() < 1 {
		return 0, false
	}
	return whole.Int64(), true
}

// percent returns v as a fraction of 1.
func (v value) percent(what string) (part float64, ok bool) {
	const example = `write one like "5%"`
	text, m, ok := v.measure(what, example, percentHint(v))
	if !ok {
		return 0, false
	}
	if m.number == "" || text != m.number+"%" && text != m.number+" %" {
		v.errorf(example, "%q is not a valid percentage", text)
		return 0, false
	}
	part, err := strconv.ParseFloat(m.number, 64)
	if err != nil || part > 100 {
		v.errorf(`write one from "0%" to "100%"`, "%q is out of range", text)
		return 0, false
	}
	return part / 100, true
}

// percentHint returns the value that was probably meant by a number: a
// percentage or a fraction of 1.
func percentHint(v value) string {
	if !v.is(cty.Number) {
		return ""
	}
	n, _ := v.AsBigFloat().Float64()
	if n > 0 && n < 1 {
		n *= 100
	}
	if n < 0 || n > 100 {
		return ""
	}
	return suggest(fmt.Sprintf("%.4g%%", n))
}

// rate returns v as a number of events in a time; 0 for a mistake.
func (v value) rate() (count int, per time.Duration) {
	const example = `write one like "10/s", "100/m" or "1000/h"`
	text, m, ok := v.measure("a rate", example, suggest(v.written()+"/s")+", or /m, /h")
	if !ok {
		return 0, 0
	}
	per = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[m.per]
	if per == 0 || !allDigits.MatchString(m.number) || text != m.number+"/"+m.per {
		v.errorf(rateHint(m, example), "%q is not a valid rate", text)
		return 0, 0
	}
	count, err := strconv.Atoi(m.number)
	if err != nil || count < 1 || count > maxRate {
		v.errorf(fmt.Sprintf("write a number from 1 to %d; or null for no limit", maxRate), "the rate %q is out of range", text)
		return 0, 0
	}
	return count, per
}

// rateHint returns the value that was probably meant by m: "10r/s", "10 per
// second", "10/min".
func rateHint(m measure, example string) string {
	if m.per == "" || !allDigits.MatchString(m.number) || !slices.Contains([]string{"", "r", "req", "reqs", "request", "requests"}, strings.ToLower(m.unit)) {
		return example
	}
	per := strings.ToLower(m.per[:1])
	if !strings.Contains("smh", per) {
		return example
	}
	return suggest(m.number + "/" + per)
}

// count returns v as a whole number from 1 to limit; 0 for a mistake.
func (v value) count(what string, limit int) int {
	if !v.known() {
		return 0
	}
	n, ok := integer(v.Value)
	if !ok || n < 1 || n > limit {
		v.errorf(fmt.Sprintf("write a number from 1 to %d", limit), "%s must be a whole number, not %s", what, v.written())
		return 0
	}
	return n
}
