package trust

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// java is the store of the JDK that JAVA_HOME names.
type java struct {
	machine Machine
	root    Root
}

// javaPassword is the password of every JDK's cacerts. It protects nothing, and
// keytool asks for it.
const javaPassword = "changeit"

// jdk is a keytool and the store that it writes.
type jdk struct{ keytool, cacerts string }

// find returns the JDK, or the result that names the missing part.
func (s *java) find() (jdk, *Result) {
	home := s.machine.Getenv("JAVA_HOME")
	if home == "" {
		return jdk{}, skipped("JAVA_HOME is not set")
	}
	keytool, err := s.machine.Find(filepath.Join(home, "bin", "keytool"))
	if err != nil {
		return jdk{}, skipped("no bin/keytool in " + home)
	}
	if s.machine.Root {
		if err := guardedProgram(keytool); err != nil {
			return jdk{}, unguarded(keytool, err)
		}
	}
	for _, path := range []string{"lib/security/cacerts", "jre/lib/security/cacerts"} { // JDK 9 and later, JDK 8
		if cacerts := filepath.Join(home, filepath.FromSlash(path)); exists(cacerts) {
			return jdk{keytool, cacerts}, nil
		}
	}
	return jdk{}, skipped("no lib/security/cacerts in " + home)
}

// unguarded is the result for a keytool that root must not run: an environment
// variable names it, and another user than root may have written it.
func unguarded(keytool string, why error) *Result {
	return &Result{State: Failed, Detail: "root must not run " + keytool + ", because " + why.Error(),
		Fix: "set JAVA_HOME to a JDK that only root can write to"}
}

func (s *java) check(ctx context.Context) Result {
	jdk, missing := s.find()
	if missing != nil {
		return *missing
	}
	result := Result{State: Untrusted, Detail: "the root is not in " + jdk.cacerts, Places: []string{jdk.cacerts}}
	output, err := s.keytool(ctx, jdk, "-list -v", "-alias", s.alias())
	text := strings.ToLower(strings.ReplaceAll(string(output), ":", ""))
	if err == nil && strings.Contains(text, strings.ToLower(s.root.fingerprint())) {
		result.State, result.Detail = Trusted, jdk.cacerts
	}
	return result
}

// alias is keytool's name for the root; keytool folds case.
func (s *java) alias() string { return aliasOf(s.root.nick()) }

func aliasOf(nick string) string { return strings.ToLower(strings.ReplaceAll(nick, " ", "-")) }

func (s *java) add(ctx context.Context) *Result {
	jdk, missing := s.find()
	if missing != nil {
		return missing
	}
	if refusal := s.refuse("trust", jdk); refusal != nil {
		return refusal
	}
	err := s.root.withCopy(func(path string) error {
		_, err := s.keytool(ctx, jdk, "-importcert -noprompt -trustcacerts", "-alias", s.alias(), "-file", path)
		return err
	})
	if err != nil {
		return failed(err, jdk.cacerts)
	}
	return nil
}

func (s *java) remove(ctx context.Context) Result {
	jdk, missing := s.find()
	if missing != nil {
		return *missing
	}
	aliases, err := s.aliases(ctx, jdk)
	if err != nil {
		return *failed(err, jdk.cacerts)
	}
	if len(aliases) > 0 {
		if refusal := s.refuse("untrust", jdk); refusal != nil {
			return *refusal
		}
	}
	for _, alias := range aliases {
		if _, err := s.keytool(ctx, jdk, "-delete", "-alias", alias); err != nil {
			return *failed(err, jdk.cacerts)
		}
	}
	return Result{State: Untrusted, Changed: len(aliases) > 0, Places: []string{jdk.cacerts}}
}

// aliases are those of devproxy's roots in the store, this one and older ones. A
// line of keytool's list begins with the alias and a comma, in every language.
func (s *java) aliases(ctx context.Context, jdk jdk) ([]string, error) {
	output, err := s.keytool(ctx, jdk, "-list")
	if err != nil {
		return nil, err
	}
	var aliases []string
	for line := range strings.Lines(string(output)) {
		alias, _, listed := strings.Cut(line, ",")
		if id, ours := strings.CutPrefix(alias, aliasOf(s.root.nickPrefix())); listed && ours && isNickID(id) {
			aliases = append(aliases, alias)
		}
	}
	return aliases, nil
}

// refuse is the result where this process cannot write to the store; nil where
// it can. The command that it shows runs devproxy, not keytool, so that root
// installs the checked certificate, too.
func (s *java) refuse(verb string, jdk jdk) *Result {
	f, err := os.OpenFile(jdk.cacerts, os.O_WRONLY, 0)
	switch {
	case errors.Is(err, fs.ErrPermission) && !s.machine.Root:
		if why := guardedProgram(jdk.keytool); why != nil {
			return unguarded(jdk.keytool, why)
		}
		return needsRoot(jdk.cacerts+" belongs to the system", s.machine.JavaCommand(verb, s.machine.Getenv("JAVA_HOME")))
	case err != nil:
		return failed(err, jdk.cacerts)
	}
	_ = f.Close() // nothing was written
	return nil
}

// keytool runs keytool on the store. action is its command, with flags after it. The error
// is the first line that keytool prints.
func (s *java) keytool(ctx context.Context, jdk jdk, action string, args ...string) ([]byte, error) {
	argv := slices.Concat([]string{jdk.keytool}, strings.Fields(action), []string{"-keystore", jdk.cacerts, "-storepass", javaPassword}, args)
	output, err := s.machine.Run(ctx, argv...)
	if err != nil {
		return nil, fmt.Errorf("keytool: %s", firstLine(output))
	}
	return output, nil
}
