package answer

import (
	"net/http"
	"slices"
	"strings"
	"unicode"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/field"
)

// Try answers r with a file of f's folder before an upstream is asked, and reports
// whether it did. path is looked up, percent-encoded as it came; only a file of
// exactly that name is sent, as Files sends it. Everything else is the upstream's,
// and nothing is written: a folder, a path with a "/" at its end, another method than
// GET and HEAD, a request for another protocol, a folder f that is not there.
//
// What Files refuses is the upstream's, and so is the source of programs, which an
// upstream runs: see isSource.
//
// Errors: *ReadError, for a file that is there and cannot be read.
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
	if r.Method != http.MethodGet && r.Method != http.MethodHead || field.Upgrade(r) != "" {
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
	// A link with a harmless name may lead to source.
	if resolved, _, err := d.resolve(n.path); err == nil && isSource(resolved) {
		d.Close()
		return nil, "", false
	}
	return d, n.path, true
}

// sources are the endings of programs that web servers run when they are asked for
// them. JavaScript and TypeScript are not among them: browsers are sent those.
var sources = []string{
	"php", "php2", "php3", "php4", "php5", "php6", "php7", "php8", "phps", "pht", "phtml", "phtm", "phar", "inc", "module", "theme", // PHP, Drupal
	"cgi", "fcgi", "pl", "pm", "py", "pyc", "pyw", "rb", "rbw", "erb", "rhtml", "lua", "tcl", "sh", "ru", "psgi", "wsgi",
	"asp", "aspx", "asa", "asax", "ascx", "ashx", "asmx", "axd", "cshtml", "vbhtml", "razor", "cs", "vb", "config",
	"jsp", "jspx", "jspf", "jhtml", "do", "cfm", "cfc", "shtml", "shtm", "stm",
}

// words are endings of sources that are also codes of languages, or words: where a
// name continues with an unknown ending, as "film.ru.srt" does, they say
// nothing.
var words = []string{"ru", "pl", "cs", "sh", "do", "module", "theme", "config", "inc"}

// copies are endings that editors and tools add to the name of a copy.
var copies = []string{"bak", "backup", "old", "orig", "save", "sav", "swp", "swo", "tmp", "temp", "copy", "dist", "txt", "log", "br", "gz", "zst", "bz2", "xz", "tar", "zip"}

// isSource reports a name that is, or is a copy of, the source of a program. Editors
// and tools name copies in many ways: "a.php~", "a.php.bak", "a.php.~1~", "#a.php#",
// "a.php_old", "a.php (copy)", "a.php,v". So an ending counts up to its first
// character other than a letter or digit; and what is before an ending counts too,
// unless browsers know a file by that ending, such as "messages.pl.js".
func isSource(path string) bool {
	base, known := strings.ToLower(path[strings.LastIndexAny(path, `/\`)+1:]), true
	for {
		i := strings.LastIndexByte(base, '.')
		if i < 0 {
			return false
		}
		ending := strings.TrimLeftFunc(base[i+1:], isPunctuation)
		if end := strings.IndexFunc(ending, isPunctuation); end >= 0 {
			ending = ending[:end]
		}
		isCopy := slices.Contains(copies, ending) || strings.Trim(ending, "0123456789") == ""
		switch {
		case slices.Contains(sources, ending) && (known || !slices.Contains(words, ending)):
			return true
		case webType("."+ending) != "" && !isCopy:
			return false
		}
		known = known && isCopy
		base = base[:i]
	}
}

func isPunctuation(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
