package trust

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// java is the store of the JDK that JAVA_HOME names.
type java struct {
	machine Machine
	root    Root
}

// javaPassword is the password of every JDK's cacerts: it protects nothing, and
// keytool asks for it.
const javaPassword = "changeit"

func (s *java) Name() string { return "java" }

// place is keytool and the store, or the result that says what is missing.
func (s *java) place() (keytool, cacerts string, missing *Result) {
	home := s.machine.Getenv("JAVA_HOME")
	if home == "" {
		return "", "", &Result{Store: s.Name(), State: Skipped, Detail: "JAVA_HOME is not set"}
	}
	keytool, err := s.machine.Find(filepath.Join(home, "bin", "keytool"))
	if err != nil {
		return "", "", &Result{Store: s.Name(), State: Skipped, Detail: "there is no bin/keytool in " + home}
	}
	if s.machine.Root {
		if err := guardedProgram(keytool); err != nil {
			refusal := s.unguarded(keytool, err)
			return "", "", &refusal
		}
	}
	for _, path := range []string{"lib/security/cacerts", "jre/lib/security/cacerts"} { // JDK 9 and later, JDK 8
		if cacerts = filepath.Join(home, filepath.FromSlash(path)); exists(cacerts) {
			return keytool, cacerts, nil
		}
	}
	return "", "", &Result{Store: s.Name(), State: Skipped, Detail: "there is no lib/security/cacerts in " + home}
}

// unguarded is the result for a keytool that root must not run: an environment
// variable names it, and somebody else than root could have written it.
func (s *java) unguarded(keytool string, why error) Result {
	return Result{Store: s.Name(), State: Failed, Detail: "root must not run " + keytool + ", because " + why.Error(),
		Fix: "set JAVA_HOME to a JDK that only root can write to"}
}

func (s *java) Check(ctx context.Context) Result {
	keytool, cacerts, missing := s.place()
	if missing != nil {
		return *missing
	}
	if s.trusted(ctx, keytool, cacerts) {
		return Result{Store: s.Name(), State: Trusted, Detail: cacerts, Places: []string{cacerts}}
	}
	return Result{Store: s.Name(), State: Untrusted, Detail: "the root is not in " + cacerts, Fix: "devproxy trust --store java", Places: []string{cacerts}}
}

// trusted asks keytool for the certificate under our alias and compares it.
func (s *java) trusted(ctx context.Context, keytool, cacerts string) bool {
	output, err := s.machine.Run(ctx, keytool, "-list", "-v", "-keystore", cacerts, "-storepass", javaPassword, "-alias", s.alias())
	want := strings.ToLower(s.root.fingerprint())
	return err == nil && strings.Contains(strings.ToLower(strings.ReplaceAll(string(output), ":", "")), want)
}

// alias is how keytool knows the root; it folds case.
func (s *java) alias() string { return aliasOf(s.root.nick()) }

func aliasOf(nick string) string { return strings.ToLower(strings.ReplaceAll(nick, " ", "-")) }

func (s *java) Install(ctx context.Context) Result {
	known := s.Check(ctx)
	if known.State != Untrusted {
		return known
	}
	keytool, cacerts, _ := s.place()
	if refusal := s.refuse("trust", keytool, cacerts); refusal != nil {
		return *refusal
	}
	err := s.root.withCopy(func(path string) error {
		return s.run(ctx, keytool, "-importcert", "-noprompt", "-trustcacerts", "-keystore", cacerts, "-storepass", javaPassword, "-alias", s.alias(), "-file", path)
	})
	if err != nil {
		return Result{Store: s.Name(), State: Failed, Detail: err.Error(), Places: []string{cacerts}}
	}
	result := s.Check(ctx)
	result.Changed = true
	return result
}

func (s *java) Uninstall(ctx context.Context) Result {
	keytool, cacerts, missing := s.place()
	if missing != nil {
		return *missing
	}
	aliases, err := s.aliases(ctx, keytool, cacerts)
	if err != nil {
		return Result{Store: s.Name(), State: Failed, Detail: err.Error(), Places: []string{cacerts}}
	}
	if len(aliases) > 0 {
		if refusal := s.refuse("untrust", keytool, cacerts); refusal != nil {
			return *refusal
		}
	}
	for _, alias := range aliases {
		if err := s.run(ctx, keytool, "-delete", "-keystore", cacerts, "-storepass", javaPassword, "-alias", alias); err != nil {
			return Result{Store: s.Name(), State: Failed, Detail: err.Error(), Places: []string{cacerts}}
		}
	}
	return Result{Store: s.Name(), State: Untrusted, Changed: len(aliases) > 0, Places: []string{cacerts}}
}

// aliases are those of devproxy's roots in the store, of this one and of older
// ones. A line of keytool's list begins with the alias and a comma, in every
// language.
func (s *java) aliases(ctx context.Context, keytool, cacerts string) ([]string, error) {
	output, err := s.machine.Run(ctx, keytool, "-list", "-keystore", cacerts, "-storepass", javaPassword)
	if err != nil {
		return nil, fmt.Errorf("keytool: %s", firstLine(output))
	}
	var aliases []string
	for line := range strings.Lines(string(output)) {
		if alias, _, listed := strings.Cut(line, ","); listed && strings.HasPrefix(alias, aliasOf(nickPrefix)) {
			aliases = append(aliases, alias)
		}
	}
	return aliases, nil
}

// refuse is the result where this process cannot write to the store; nil where
// it can. The command that it shows runs devproxy, not keytool: as root too,
// what was checked is what is installed.
func (s *java) refuse(verb, keytool, cacerts string) *Result {
	f, err := os.OpenFile(cacerts, os.O_WRONLY, 0)
	switch {
	case errors.Is(err, fs.ErrPermission) && !s.machine.Root:
		refusal := needsRoot(s.Name(), cacerts+" belongs to the system", s.machine.JavaCommand(verb, s.machine.Getenv("JAVA_HOME")))
		if why := guardedProgram(keytool); why != nil {
			refusal = s.unguarded(keytool, why)
		}
		return &refusal
	case err != nil:
		return &Result{Store: s.Name(), State: Failed, Detail: err.Error(), Places: []string{cacerts}}
	}
	_ = f.Close() // nothing was written
	return nil
}

// run runs keytool; the error is what it says.
func (s *java) run(ctx context.Context, argv ...string) error {
	if output, err := s.machine.Run(ctx, argv...); err != nil {
		return fmt.Errorf("keytool: %s", firstLine(output))
	}
	return nil
}
