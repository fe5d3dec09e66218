package fennel

import (
	"fmt"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel/luacode"
)

// binding is a Fennel name and the Lua name that stands for it.
type binding struct {
	name string
	lua  string
	meta *symMeta // nil for a name that `global` declared
}

// symMeta is what the compiler remembers of a local.
type symMeta struct {
	symbol  *Sym
	mutable bool // declared with var
	used    bool
	lua     *lua.LTable // its shape in Lua, once a macro or plugin looked
}

// Scope is a region of a program and what its names mean. Scopes nest; the root of a compilation counts generated
// names, so that all of them differ.
type Scope struct {
	parent   *Scope
	root     *Scope // counts gensyms
	vararg   bool
	hashfn   bool
	hashRoot *List // the hash function whose body this is
	depth    int

	names    nameTable
	macros   map[string]*macro
	specials map[string]special
	autogens map[string]string
	refs     map[string]bool // global names that inner scopes refer to; only kept when globals are checked
	includes map[string]*include
	append   int
	compiler bool // code here runs at compile time
	handle   *lua.LTable
	symmeta  *lua.LTable
}

// nameTable finds bindings by Fennel name and by Lua name. Most scopes hold a handful.
type nameTable struct {
	list   []binding
	byName map[string]int32
	byLua  map[string]int32
}

const mapFrom = 12

func (t *nameTable) find(name string) *binding {
	if t.byName != nil {
		if i, ok := t.byName[name]; ok {
			return &t.list[i]
		}
		return nil
	}
	for i := len(t.list) - 1; i >= 0; i-- {
		if t.list[i].name == name {
			return &t.list[i]
		}
	}
	return nil
}

func (t *nameTable) hasLua(name string) bool {
	if t.byLua != nil {
		_, ok := t.byLua[name]
		return ok
	}
	for i := range t.list {
		if t.list[i].lua == name {
			return true
		}
	}
	return false
}

func (t *nameTable) add(b binding) {
	t.list = append(t.list, b)
	if t.byName == nil {
		if len(t.list) < mapFrom {
			return
		}
		t.byName = make(map[string]int32, 2*mapFrom)
		t.byLua = make(map[string]int32, 2*mapFrom)
		for i, b := range t.list {
			t.byName[b.name] = int32(i)
			t.byLua[b.lua] = int32(i)
		}
		return
	}
	i := int32(len(t.list) - 1)
	t.byName[b.name], t.byLua[b.lua] = i, i
}

// newScope makes a scope inside parent.
func newScope(parent *Scope) *Scope {
	s := &Scope{parent: parent, root: parent.root, vararg: parent.vararg, hashfn: parent.hashfn, depth: parent.depth + 1,
		compiler: parent.compiler}
	return s
}

// rootScope makes the outermost scope of a compilation.
func rootScope(parent *Scope) *Scope {
	s := &Scope{parent: parent, vararg: true}
	if parent != nil {
		s.depth, s.compiler = parent.depth+1, parent.compiler
	}
	s.root = s
	return s
}

func (s *Scope) lookup(name string) *binding {
	for ; s != nil; s = s.parent {
		if b := s.names.find(name); b != nil {
			return b
		}
	}
	return nil
}

func (s *Scope) local(name string) *symMeta {
	for ; s != nil; s = s.parent {
		if b := s.names.find(name); b != nil && b.meta != nil {
			return b.meta
		}
	}
	return nil
}

// taken reports a Lua name which means something here already.
func (s *Scope) taken(luaName string) bool {
	for ; s != nil; s = s.parent {
		if s.names.hasLua(luaName) {
			return true
		}
	}
	return false
}

func (s *Scope) macro(name string) *macro {
	for ; s != nil; s = s.parent {
		if s.macros != nil {
			if m, ok := s.macros[name]; ok {
				return m // nil hides a macro of an outer scope
			}
		}
	}
	return nil
}

func (s *Scope) special(name string) special {
	for ; s != nil; s = s.parent {
		if s.specials != nil {
			if f, ok := s.specials[name]; ok {
				return f
			}
		}
	}
	return nil
}

func (s *Scope) setMacro(name string, m *macro) {
	if s.macros == nil {
		s.macros = map[string]*macro{}
	}
	s.macros[name] = m
}

func (s *Scope) include(name string) *include {
	for ; s != nil; s = s.parent {
		if i := s.includes[name]; i != nil {
			return i
		}
	}
	return nil
}

// gensym makes a Lua name nobody else has.
func (c *compilation) gensym(s *Scope, base, suffix string) string {
	root := s.root
	if c.root != nil {
		root = c.root
	}
	for {
		root.append++
		name := base + "_" + strconv.Itoa(root.append) + "_" + suffix
		if s.taken(name) {
			continue
		}
		return name
	}
}

// autogensym gives x# the same symbol throughout one scope.
func (c *compilation) autogensym(base string, s *Scope) string {
	if m := splitMulti(base); m != nil {
		parts := append([]string(nil), m.parts...)
		parts[0] = c.autogensym(parts[0], s)
		if m.method {
			return strings.Join(parts[:len(parts)-1], ".") + ":" + parts[len(parts)-1]
		}
		return strings.Join(parts, ".")
	}
	for up := s; up != nil; up = up.parent {
		if name, ok := up.autogens[base]; ok {
			return name
		}
	}
	name := c.gensym(s, base[:len(base)-1], "auto")
	if s.autogens == nil {
		s.autogens = map[string]string{}
	}
	s.autogens[base] = name
	return name
}

// mangleLocal spells a name with the letters Lua has.
func (c *compilation) mangleLocal(name string) string {
	plain := true
	for i := 0; i < len(name); i++ {
		if !wordByte(name[i]) {
			plain = false
			break
		}
	}
	if c.keyword(name) || (name != "" && name[0] >= '0' && name[0] <= '9') {
		name = "_" + name
	}
	if plain {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		switch ch := name[i]; {
		case ch == '-':
			b.WriteByte('_')
		case wordByte(ch):
			b.WriteByte(ch)
		default:
			fmt.Fprintf(&b, "_%02x", ch)
		}
	}
	return b.String()
}

func wordByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// keyword reports a word Lua reserves, or that Options.Keywords reserves besides.
func (c *compilation) keyword(name string) bool {
	return luacode.Keyword(name) || c.opts.Keywords[name]
}

func (c *compilation) identifier(name string) bool {
	return luacode.Identifier(name) && !c.opts.Keywords[name]
}

// Mangle spells the name of a global with the letters Lua has; Unmangle reverses it.
func Mangle(name string) string {
	if luacode.Identifier(name) {
		return name
	}
	var b strings.Builder
	b.WriteString("__fnl_global__")
	for i := 0; i < len(name); i++ {
		if ch := name[i]; wordByte(ch) && ch != '_' {
			b.WriteByte(ch)
		} else {
			fmt.Fprintf(&b, "_%02x", ch)
		}
	}
	return b.String()
}

// Unmangle gives back the name that Mangle spelled.
func Unmangle(name string) string {
	rest, ok := strings.CutPrefix(name, "__fnl_global__")
	if !ok {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(rest); i++ {
		if rest[i] == '_' && i+2 < len(rest) && isHex(rest[i+1]) && isHex(rest[i+2]) {
			b.WriteByte(hexVal(rest[i+1])<<4 | hexVal(rest[i+2]))
			i += 2
			continue
		}
		b.WriteByte(rest[i])
	}
	return b.String()
}

// deferred holds declarations which are not to be visible before a whole binding form is compiled.
type deferred struct {
	list []binding
}

func (c *compilation) applyDeferred(s *Scope, d *deferred, at Node) {
	for _, b := range d.list {
		if s.refs[b.lua] {
			failAt(at, "use of global %s is aliased by a local", b.name)
		}
		s.names.add(b)
	}
	d.list = nil
}

// checkBinding refuses names that may not be bound.
func (c *compilation) checkBinding(sym *Sym, s *Scope, at Node, isMacro bool) {
	name := sym.Name
	if i := strings.IndexAny(name, "&.:"); i >= 0 && name[i] == '&' {
		failAt(sym, "invalid character: &")
	}
	if strings.HasPrefix(name, ".") {
		failAt(sym, "invalid character: .")
	}
	first := name
	if sym.multi != nil {
		first = sym.multi.parts[0]
	}
	if s.special(first) != nil || (!isMacro && s.macro(first) != nil) {
		failAt(at, "local %s was overshadowed by a special form or macro", name)
	}
	if isMacro && sym.multi != nil && s.macro(first) != nil {
		failAt(at, "tried to set multisym macro on existing macro")
	}
	if sym.quoted {
		failIn(sym, at, "macro tried to bind %s without gensym", name)
	}
}

// fewNames is how often a name may be shadowed before the search for a free one goes on where it ended last time.
const fewNames = 10

// declare gives a symbol a Lua name in the scope, or in d to take effect later.
func (c *compilation) declare(sym *Sym, s *Scope, at Node, mutable bool, d *deferred) string {
	c.checkBinding(sym, s, at, false)
	if sym.multi != nil {
		failAt(at, "unexpected multi symbol %s", sym.Name)
	}
	base := c.mangleLocal(sym.Name)
	name := base
	for n := 0; s.taken(name); n++ {
		if n == fewNames {
			n = max(n, c.suffixes[base])
			if c.suffixes == nil {
				c.suffixes = map[string]int{}
			}
		}
		name = base + strconv.Itoa(n)
		if n >= fewNames {
			c.suffixes[base] = n + 1
		}
	}
	b := binding{name: sym.Name, lua: name, meta: &symMeta{symbol: sym, mutable: mutable}}
	if d == nil {
		s.names.add(b)
	} else {
		// The Lua name is spoken for at once: the value being compiled may bind names of its own.
		s.names.add(binding{lua: name})
		d.list = append(d.list, b)
	}
	return name
}
