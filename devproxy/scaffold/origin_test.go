package scaffold

import "testing"

func TestAtLeast(t *testing.T) {
	for _, c := range []struct {
		versions, least string
		want            bool
	}{
		{"", "4.0", true},
		{"latest", "4.0", true},
		{"*", "4.0", true},
		{"workspace:*", "4.0", true},
		{"7.12.0", "7.12.0", true},
		{"7.11.9", "7.12.0", false},
		{"^7.1.0", "7.12.0", true},
		{"^6.30.1", "7.12.0", false},
		{"~7.1.0", "7.12.0", false},
		{"~7.12.3", "7.12.0", true},
		{">=7.0.0", "7.12.0", true},
		{">=3.2,<4", "4.0", false},
		{">=3.2,<5", "4.0", true},
		{"==3.2.25", "4.0", false},
		{"==5.2.8", "4.0", true},
		{"~=3.2", "4.0", false},
		{">=5.2", "4.0", true},
		{"5.x", "4.0", true},
	} {
		if got := atLeast(c.versions, c.least); got != c.want {
			t.Errorf("%q reaches %s: %v, want %v", c.versions, c.least, got, c.want)
		}
	}
}

func TestDjangoVersion(t *testing.T) {
	for text, want := range map[string]bool{
		"django\n":               true,
		"Django==5.2.8\n":        true,
		"Django==3.2.25 # old\n": false,
		"django~=4.2\n":          true,
		"Django>=3.2,<4.0\n":     false,
		"djangorestframework==3.14\nDjango==4.2\n":        true,
		"djangorestframework==3.14\ndjango[argon2]==3.2":  false,
		"django-environ==0.11\n":                          true, // Django's own version is not known
		"dependencies = [\n  \"django>=5.1\",\n]":         true,
		"dependencies = [\n  'django (>=3.2,<4.0)'\n]":    false,
		"[tool.poetry.dependencies]\ndjango = \"^3.2\"\n": false,
		"[packages]\ndjango = \"~=4.2\"\n":                true,
	} {
		dir := t.TempDir()
		putFile(t, dir+"/manage.py", []byte("DJANGO_SETTINGS_MODULE"))
		putFile(t, dir+"/requirements.txt", []byte(text))
		r, err := openRepository(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := (&discovery{repository: r}).djangoOrigin("."); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
		r.close()
	}
}
