// Package right is the right to call a text masked. Go lets only what lies below
// internal/secret import it, so no other package can make a masked.Text of a
// string that it happens to have.
package right

// Masking is what masked.By asks of its caller.
type Masking struct{}
