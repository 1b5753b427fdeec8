//go:build e2e && frameworks

package main

import "testing"

// TestFrameworksHotReload starts dev servers as `devproxy init` proposes them.
func TestFrameworksHotReload(t *testing.T) {
	t.Run("create-react-app", func(t *testing.T) {
		dir := (&recipe{name: "create-react-app"}).install(t, "create-react-app", []string{"react-scripts@5.0.1", "react@19.3.1", "react-dom@19.3.1"})
		testHotReload(t, dir, "react-scripts start")
	})
	t.Run("vite", func(t *testing.T) {
		r := readRecipe(t, "vite")
		testHotReload(t, r.install(t, "vite-started", r.packages), "vite")
	})
}
