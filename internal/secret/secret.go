// Package secret is where the operator's secrets become values, and where the
// values are kept from becoming anything else.
//
// Three things live here. A Vault fetches a declared secret from its source
// when a run first asks for it, after the scope rules said yes. A Value carries
// it through the program and prints as «redacted» whatever prints it. A
// Redactor, which learns of each value before anybody receives it, turns it and
// the forms that tools commonly print it in back into {{ name }} in every
// stream that leaves the run.
//
// What it refuses to do: hand out a value because a rule could not be read (a
// malformed pattern matches nothing), put a value or the output of the command
// that makes one into an error, or write a value to a file.
//
// It is a guard against accidents and against a branch that rewrites the
// pipeline (see Scope.Protected). It is none against a pipeline that the
// operator trusts with the secret and that means harm: a value can always be
// printed in a form nobody listed, and whoever may use a token may send it away.
//
// It imports config for the declarations and event for the rules of matching
// (event.MatchRef, MatchRepo, MatchName), and nothing else of quire's.
package secret
