// Package hcl is the Proxyfile language: text becomes a checked File whose
// parts know their place in the text, or diagnostics that say what to write.
//
// It is the only importer of hashicorp/hcl, and it knows nothing of proxying:
// what a File means is the business of package plan.
package hcl
