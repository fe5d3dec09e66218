package fennel

import (
	"regexp"
	"strings"
	"sync"
)

// hint is what to try when a message holds a pattern; $1 stands for what the pattern captured.
type hint struct {
	prefix  string // a literal every matching message contains, to reject quickly
	pattern *regexp.Regexp
	tries   []string
}

func newHint(pattern string, tries ...string) hint {
	re := regexp.MustCompile(pattern)
	prefix, _ := re.LiteralPrefix()
	return hint{prefix, re, tries}
}

// hints are made on the first error: a program without faults does not pay for them.
var hints = sync.OnceValue(allHints)

// advise looks a message up. The wording is the reference's, because people search for it.
func advise(msg string) []string {
	for _, h := range hints() {
		if !strings.Contains(msg, h.prefix) {
			continue
		}
		m := h.pattern.FindStringSubmatch(msg)
		if m == nil {
			continue
		}
		out := make([]string, len(h.tries))
		for i, t := range h.tries {
			for j := len(m) - 1; j > 0; j-- {
				t = strings.ReplaceAll(t, "$"+string(rune('0'+j)), m[j])
			}
			out[i] = t
		}
		return out
	}
	return nil
}

func allHints() []hint {
	return []hint{
		newHint(`\$ and \$\.\.\. in hashfn are mutually exclusive`,
			"modifying the hashfn so it only contains $... or $, $1, $2, $3, etc"),
		newHint(`can't introduce (.*) here`, "declaring the local at the top-level"),
		newHint(`can't start multisym segment with a digit`, "removing the digit", "adding a non-digit before the digit"),
		newHint(`cannot call literal value`, "checking for typos", "checking for a missing function name",
			"making sure to use prefix operators, not infix"),
		newHint(`could not compile value of type `, "debugging the macro you're calling to return a list or table"),
		newHint(`could not read number (.*)`, "removing the non-digit character",
			"beginning the identifier with a non-digit if it is not meant to be a number"),
		newHint(`expected a function.* to call`, "removing the empty parentheses",
			"using square brackets if you want an empty table"),
		newHint(`expected at least one pattern/body pair`,
			"adding a pattern and a body to execute when the pattern matches"),
		newHint(`expected binding and iterator`, "making sure you haven't omitted a local name or iterator"),
		newHint(`expected binding sequence`,
			"placing a table here in square brackets containing identifiers to bind"),
		newHint(`expected body expression`, "putting some code in the body of this form after the bindings"),
		newHint(`expected each macro to be function`,
			"ensuring that the value for each key in your macros table contains a function",
			"avoid defining nested macro tables"),
		newHint(`expected even number of name/value bindings`, "finding where the identifier or value is missing"),
		newHint(`expected even number of pattern/body pairs`, "checking that every pattern has a body to go with it",
			"adding _ before the final body"),
		newHint(`expected even number of values in table literal`, "removing a key", "adding a value"),
		newHint(`expected key to be a literal`, "using . instead of destructuring", "checking for typos"),
		newHint(`expected local`, "looking for a typo", "looking for a local which is used out of its scope"),
		newHint(`expected macros to be table`, "ensuring your macro definitions return a table"),
		newHint(`expected parameters`, "adding function parameters as a list of identifiers in brackets"),
		newHint(`expected range to include start and stop`, "adding missing arguments"),
		newHint(`expected rest argument before last parameter`,
			"moving & to right before the final identifier when destructuring"),
		newHint(`expected symbol for function parameter: (.*)`, "changing $1 to an identifier instead of a literal value"),
		newHint(`expected var (.*)`, "declaring $1 using var instead of let/local",
			"introducing a new local instead of changing the value of $1"),
		newHint(`expected vararg as last parameter`, `moving the "..." to the end of the parameter list`),
		newHint(`expected whitespace before opening delimiter`, "adding whitespace"),
		newHint(`global (.*) conflicts with local`, "renaming local $1"),
		newHint(`invalid character: (.)`, "deleting or replacing $1",
			"avoiding reserved characters like \", \\, ', ~, ;, @, `, and comma"),
		newHint(`local (.*) was overshadowed by a special form or macro`, "renaming local $1"),
		newHint(`macro not found, or not callable, in macro table`,
			"checking the keys of the imported macro module's returned table",
			"ensuring that if the invoked macro is a table, it has a __call metamethod"),
		newHint(`macro tried to bind (.*) without gensym`, "changing to $1# when introducing identifiers inside macros"),
		newHint(`malformed multisym`, "ensuring each period or colon is not followed by another period or colon"),
		newHint(`may only be used at compile time`,
			"moving this to inside a macro if you need to manipulate symbols/lists",
			"using square brackets instead of parens to construct a table"),
		newHint(`method must be last component`, "using a period instead of a colon for field access",
			"removing segments after the colon", "making the method call, then looking up the field on the result"),
		newHint(`mismatched closing delimiter (.), expected (.)`, "replacing $1 with $2", "deleting $1",
			"adding matching opening delimiter earlier"),
		newHint(`missing subject`, "adding an item to operate on"),
		newHint(`multisym method calls may only be in call position`,
			"using a period instead of a colon to reference a table's fields", "putting parens around this"),
		newHint(`tried to reference a macro without calling it`, "renaming the macro so as not to conflict with locals"),
		newHint(`tried to reference a special form without calling it`,
			"making sure to use prefix operators, not infix",
			"wrapping the special in a function if you need it to be first class"),
		newHint(`tried to use unquote outside quote`, "moving the form to inside a quoted form", "removing the comma"),
		newHint(`tried to use vararg with operator`, "accumulating over the operands"),
		newHint(`unable to bind (.*)`, "replacing the $1 with an identifier"),
		newHint(`unexpected arguments`, "removing an argument", "checking for typos"),
		newHint(`unexpected closing delimiter (.)`, "deleting $1", "adding matching opening delimiter earlier"),
		newHint(`unexpected iterator clause`, "removing an argument", "checking for typos"),
		newHint(`unexpected multi symbol (.*)`, "removing periods or colons from $1"),
		newHint(`unexpected vararg`, `putting "..." at the end of the fn parameters if the vararg was intended`),
		newHint(`unknown identifier: (.*)`, "looking to see if there's a typo",
			"using the _G table instead, eg. _G.$1 if you really want a global",
			"moving this code to somewhere that $1 is in scope",
			"binding $1 as a local in the scope of this code"),
		newHint(`unused local (.*)`, "renaming the local to _$1 if it is meant to be unused",
			"fixing a typo so $1 is used", "disabling the linter which checks for unused locals"),
		newHint(`use of global (.*) is aliased by a local`, "renaming local $1",
			"refer to the global using _G.$1 instead of directly"),
		newHint(`nested more than`, "naming parts of the expression with let", "splitting the file"),
		newHint(`too many local variables|too many values at once`, "moving some of the locals into a function or a table"),
	}
}
