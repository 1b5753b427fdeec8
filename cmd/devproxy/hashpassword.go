package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/bcrypt"
)

const (
	// passwordCost is bcrypt's default: some 50 ms, once for each visitor.
	passwordCost = bcrypt.DefaultCost
	// maxPassword is the longest password that bcrypt reads, in bytes.
	maxPassword = 72
)

func newHashPasswordCmd(s *streams) *cobra.Command {
	return &cobra.Command{
		Use:   "hash-password",
		Short: "make the hash that basic_auth takes",
		Long: `Asks for a password, twice, and prints its bcrypt hash, which is safe in a Proxyfile that everyone can read.
Without a terminal the password is the first line of standard input. It is never an argument: other users can see
arguments.`,
		Example: "  devproxy hash-password\n  pass show shop | devproxy hash-password",
		Args:    noArgs,
		RunE:    func(*cobra.Command, []string) error { return runHashPassword(s) },
	}
}

func runHashPassword(s *streams) error {
	password, err := askPassword(s)
	if err != nil {
		return err
	}
	switch {
	case len(password) == 0:
		return failf("write at least one character", "the password is empty")
	case len(password) > maxPassword:
		return failf("choose a shorter one", "the password has %d bytes, and bcrypt reads only %d", len(password), maxPassword)
	}
	hash, err := bcrypt.GenerateFromPassword(password, passwordCost)
	if err != nil {
		return fmt.Errorf("cannot hash the password: %w", err)
	}
	if s.InTTY {
		fmt.Fprintln(s.Err, s.dim("for a host or route, with a NAME of your choice:"))
		fmt.Fprintf(s.Err, "  basic_auth = { NAME = %q }\n", hash)
	}
	fmt.Fprintln(s.Out, string(hash))
	return nil
}

// askPassword reads a password twice from a terminal, without showing it, or one line
// of other input.
func askPassword(s *streams) ([]byte, error) {
	terminal, ok := s.In.(*os.File)
	if !s.InTTY || !ok {
		line, err := bufio.NewReader(io.LimitReader(s.In, maxPassword+3)).ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("cannot read standard input: %w", err)
		}
		return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), nil
	}
	var typed [2][]byte
	for i, prompt := range []string{"Password: ", "Again: "} {
		var err error
		if typed[i], err = readHidden(s, terminal, prompt); err != nil {
			return nil, err
		}
	}
	if !bytes.Equal(typed[0], typed[1]) {
		return nil, failf("devproxy hash-password", "the two passwords differ")
	}
	return typed[0], nil
}
