package main

import (
	"fmt"
	"math"
	"strconv"

	"github.com/spf13/pflag"
)

// number is the value of a flag that is a whole number in a range.
type number struct {
	value       *int
	least, most int // math.MaxInt for no limit
	example     int
}

// numberVar adds a flag for a number from least to most. *value is its default; example is
// what an error proposes.
func numberVar(flags *pflag.FlagSet, value *int, name, shorthand string, least, most, example int, usage string) {
	flags.VarP(&number{value, least, most, example}, name, shorthand, usage)
}

func (n *number) Type() string { return "int" }

func (n *number) String() string {
	if n.value == nil {
		return "" // of the zero value, with which pflag compares
	}
	return strconv.Itoa(*n.value)
}

// Set reads decimal digits, with a sign where negative numbers are allowed.
func (n *number) Set(text string) error {
	fix := fmt.Sprintf("write a number like %d", n.example)
	given, err := strconv.Atoi(text)
	switch {
	case err != nil && !isDigits(text):
		return failf(fix, "%q is not a whole number", text)
	case err == nil && n.least <= given && given <= n.most:
		*n.value = given
		return nil
	case n.most == math.MaxInt && err == nil:
		return failf(fix, "%s is less than %d", text, n.least)
	case n.most == math.MaxInt:
		return failf(fix, "%s is too large", text)
	}
	return failf(fix, "%s is not from %d to %d", text, n.least, n.most)
}
