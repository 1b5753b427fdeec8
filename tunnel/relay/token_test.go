package relay

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

func TestCheckToken(t *testing.T) {
	for token, want := range map[string]string{
		"":                                 "0 characters",
		"5f2c9b7e0d4a816":                  "15 characters; fewer than 16",
		"5f2c9b7e0d4a8163":                 "",
		"aaaaaaaaaaaaaaaa":                 "repeats itself",
		strings.Repeat("a", 500):           "repeats itself",
		"abababababababab":                 "repeats itself",
		"ABabABabABabABab":                 "repeats itself",
		"1234567812345678":                 "repeats itself",
		"12345678901234567890":             "repeats itself",
		"passwordpassword":                 "repeats itself",
		"changemechangemechangeme":         "repeats itself",
		"aaaabbbbccccddddeeee":             "repeats itself",
		"abcdefghijklmnop":                 "sequence",
		"ABCDEFGHIJKLMNOP":                 "sequence",
		"qwertyuiopasdfgh":                 "sequence",
		"token-for-this-test":              "",
		"a token for this test":            "",
		"correct horse battery staple":     "",
		"d41d8cd98f00b204e9800998ecf8427e": "",
		"ZmlmdGVlbiByYW5kb20=":             "",
	} {
		err := CheckToken(token)
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", token, err, want)
		}
	}
	ca := newCA(t)
	if _, err := New(Options{Domain: domain, Certificate: ca.certificate, Registry: NewMemory(), Tokens: []string{"5f2c9b7e0d4a8163", "aaaaaaaaaaaaaaaa"}}); err == nil {
		t.Error("a relay starts with a token that can be guessed")
	}
}

// TestRandomTokens: tokens of the suggested command are never refused.
func TestRandomTokens(t *testing.T) {
	for i := range 2000 {
		key := publicKey(testKey(fmt.Sprint(i)))
		if token := fmt.Sprintf("%x", key[:16]); CheckToken(token) != nil {
			t.Errorf("%s: %v", token, CheckToken(token))
		}
	}
}

func TestTokenBrake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const right = "5f2c9b7e0d4a8163"
		tokens, err := newTokens([]string{"another-token-of-it", right})
		if err != nil {
			t.Fatal(err)
		}
		from := func(i int) *network {
			o := newNetwork(netip.Prefix{}, Limits{}.withDefaults())
			o.prefix = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
			return o
		}
		code := func(token string, o *network) tunnel.Code {
			err := tokens.check(token, o)
			if err == nil {
				return 0
			}
			var refused *tunnel.Refusal
			if !errors.As(err, &refused) {
				t.Fatal(err)
			}
			return refused.Code
		}
		one := from(0)
		for i := range tokenBurst {
			if got := code(fmt.Sprint("guess ", i), one); got != tunnel.CodeBadToken {
				t.Fatalf("guess %d: %d", i+1, got)
			}
			if got := code(right, from(1)); got != 0 {
				t.Fatalf("the right one from another network: %d", got)
			}
		}
		if got := code(right, one); got != tunnel.CodeBusy {
			t.Errorf("after %d guesses the next is looked at: %d", tokenBurst, got)
		}
		time.Sleep(tokenEvery)
		if got := code(right, one); got != 0 {
			t.Errorf("the right one after a pause: %d", got)
		}
		if got := code("wrong", one); got != tunnel.CodeBadToken {
			t.Errorf("the right one has cost something: %d", got)
		}
		if got := code("wrong", one); got != tunnel.CodeBusy {
			t.Errorf("a second guess after one pause: %d", got)
		}
		// Many networks use up the allowance of all.
		used := 0
		for i := 2; used < allTokensBurst+50; i++ {
			for o := from(i); code("wrong", o) == tunnel.CodeBadToken; used++ {
			}
		}
		guesser := from(5000)
		for i := range firstTokens {
			if got := code("wrong", guesser); got != tunnel.CodeBadToken {
				t.Errorf("guess %d of a new network: %d", i+1, got)
			}
		}
		if got := code("wrong", guesser); got != tunnel.CodeBusy {
			t.Errorf("one more than its first: %d", got)
		}
		if got := code(right, from(6000)); got != 0 {
			t.Errorf("an honest agent meanwhile: %d", got)
		}
		time.Sleep(allTokensEvery * 2)
		if got := code(right, guesser); got != 0 {
			t.Errorf("after a pause of all: %d", got)
		}
	})
}
