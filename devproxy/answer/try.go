package answer

import (
	"net/http"
	"slices"
	"strings"
	"unicode"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/field"
)

// Try answers r with a file of f's folder before a request is sent to an
// upstream, and reports whether it did. path is looked up, percent-encoded as it
// came; only a file of exactly that name is sent, as Files sends it. Everything
// else is left to the upstream, and nothing is written: a folder, a path with a
// "/" at its end, a method other than GET and HEAD, an upgrade, a folder f that
// does not exist.
//
// What Files refuses is left to the upstream too, and so is the source code of
// programs, which an upstream runs: see isSource.
//
// Errors: *ReadError, for a file that exists and can't be read.
func Try(w http.ResponseWriter, r *http.Request, f *plan.TryFiles, path string) (answered bool, err error) {
	d, name, ok := lookTry(r, f, path)
	if !ok {
		return false, nil
	}
	defer d.Close()
	return d.send(w, r, name)
}

// HasTry reports whether Try would answer.
func HasTry(r *http.Request, f *plan.TryFiles, path string) bool {
	d, name, ok := lookTry(r, f, path)
	if !ok {
		return false
	}
	defer d.Close()
	is, _ := d.isFile(name)
	return is
}

// lookTry opens the folder for a request that may be one for a file.
func lookTry(r *http.Request, f *plan.TryFiles, path string) (d *folder, name string, ok bool) {
	if !isRead(r) || field.Upgrade(r) != "" {
		return nil, "", false
	}
	n, wrong := parseName(path)
	if wrong != "" || n.slash || n.path == "" || isSource(n.path) {
		return nil, "", false
	}
	d, err := openFolder(&f.Files)
	if err != nil {
		return nil, "", false
	}
	// A link with a harmless name may lead to source code.
	if resolved, _, err := d.resolve(n.path); err == nil && isSource(resolved) {
		d.Close()
		return nil, "", false
	}
	return d, n.path, true
}

// sources are the extensions of programs that web servers run. JavaScript and
// TypeScript are not among them: those are sent to browsers.
var sources = []string{
	"php", "php2", "php3", "php4", "php5", "php6", "php7", "php8", "phps", "pht", "phtml", "phtm", "phar", "inc", "module", "theme", // PHP, Drupal
	"cgi", "fcgi", "pl", "pm", "py", "pyc", "pyw", "rb", "rbw", "erb", "rhtml", "lua", "tcl", "sh", "ru", "psgi", "wsgi",
	"asp", "aspx", "asa", "asax", "ascx", "ashx", "asmx", "axd", "cshtml", "vbhtml", "razor", "cs", "vb", "config",
	"jsp", "jspx", "jspf", "jhtml", "do", "cfm", "cfc", "shtml", "shtm", "stm",
}

// words are extensions of sources that are also codes of languages, or words. If
// a name continues with an unknown extension, as "film.ru.srt" does, they mean
// nothing.
var words = []string{"ru", "pl", "cs", "sh", "do", "module", "theme", "config", "inc"}

// copies are extensions that editors and tools add to the name of a copy.
var copies = []string{"bak", "backup", "old", "orig", "save", "sav", "swp", "swo", "tmp", "temp", "copy", "dist", "txt", "log", "br", "gz", "zst", "bz2", "xz", "tar", "zip"}

// isSource reports whether a name is the source code of a program, or a copy of
// one. Editors and tools name copies in many ways: "a.php~", "a.php.bak",
// "a.php.~1~", "#a.php#", "a.php_old", "a.php (copy)", "a.php,v". So an extension
// counts up to its first character other than a letter or digit; and what is
// before an extension counts too, unless browsers know a file by that extension,
// such as "messages.pl.js".
func isSource(path string) bool {
	base, known := strings.ToLower(path[strings.LastIndexAny(path, `/\`)+1:]), true
	for {
		i := strings.LastIndexByte(base, '.')
		if i < 0 {
			return false
		}
		ext := strings.TrimLeftFunc(base[i+1:], isPunctuation)
		if end := strings.IndexFunc(ext, isPunctuation); end >= 0 {
			ext = ext[:end]
		}
		isCopy := slices.Contains(copies, ext) || strings.Trim(ext, "0123456789") == ""
		switch {
		case slices.Contains(sources, ext) && (known || !slices.Contains(words, ext)):
			return true
		case webType("."+ext) != "" && !isCopy:
			return false
		}
		known = known && isCopy
		base = base[:i]
	}
}

func isPunctuation(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
