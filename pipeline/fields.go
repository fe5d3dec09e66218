package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel/vm"
	"quire/internal/checked"
)

// fields reads an options table, and keeps what is wrong with it: registering
// reports all of its faults, a primitive raises the first.
type fields struct {
	table  *lua.LTable
	faults []fault
}

// fault is one thing wrong with an options table.
type fault struct {
	key     string // the field at fault; "" when it is a missing one or the table itself
	unknown bool   // the key is the mistake, not its value
	message string // a clause such as ":cwd must be a string, got number"
	advice  string
}

// readFields begins reading t, whose keys may only be the known ones. nil reads
// as an empty table.
func readFields(t *lua.LTable, known ...string) *fields {
	f := &fields{table: t}
	if t == nil {
		return f
	}
	for k := range pairs(t) {
		name, ok := k.(lua.LString)
		switch {
		case !ok:
			f.add("", fmt.Sprintf("unknown field %s", viewScalar(k)), "The fields are "+enumerate(known)+".")
		case !slices.Contains(known, string(name)):
			advice := "The fields are " + enumerate(known) + "."
			if n := nearest(string(name), known); n != "" {
				advice = "Did you mean :" + n + "? " + advice
			}
			f.faults = append(f.faults, fault{string(name), true, fmt.Sprintf("unknown field `%s`", printableWhole(string(name))), advice})
		}
	}
	return f
}

func (f *fields) add(key, message, advice string) {
	f.faults = append(f.faults, fault{key, false, message, advice})
}

// get is the value of a field, nil when it is absent.
func (f *fields) get(key string) lua.LValue {
	if f.table == nil {
		return lua.LNil
	}
	return f.table.RawGetString(key)
}

func (f *fields) has(key string) bool { return f.get(key) != lua.LNil }

func (f *fields) wrong(key, want string) {
	f.add(key, fmt.Sprintf(":%s must be %s, got %s", key, want, f.get(key).Type()), "")
}

// wrongValue is wrong for a value of the right type.
func (f *fields) wrongValue(key, want string) {
	f.add(key, fmt.Sprintf(":%s must be %s, got %s", key, want, printableWhole(viewScalar(f.get(key)))), "")
}

// text is a string field, "" when it is absent. An empty string is refused:
// none of the options has a use for it, and it is what a forgotten value is.
func (f *fields) text(key string) string {
	switch v := f.get(key).(type) {
	case *lua.LNilType:
		return ""
	case lua.LString:
		if v == "" {
			f.add(key, fmt.Sprintf(":%s is an empty string", key), "")
		}
		return string(v)
	}
	f.wrong(key, "a string")
	return ""
}

// checked is a text field that a check must let pass.
func (f *fields) checked(key string, check func(string) error) string {
	s := f.text(key)
	if s != "" {
		f.refuse(key, check(s))
	}
	return s
}

// refuse adds what a check says of a field's value. It does not show the value:
// some are secret.
func (f *fields) refuse(key string, err error) {
	if err != nil {
		f.add(key, fmt.Sprintf(":%s cannot be used: %s", key, err), "")
	}
}

// line is a text field of one line.
func (f *fields) line(key string, most int) string {
	return f.checked(key, func(s string) error { return checked.Line(s, most) })
}

// path is a text field that names a file or directory.
func (f *fields) path(key string) string { return f.checked(key, checked.Path) }

// image is a text field that names a container image.
func (f *fields) image(key string) (image checked.Image) {
	f.checked(key, func(s string) (err error) {
		image, err = checked.NewImage(s)
		return err
	})
	return image
}

// bytes is a string field that may be empty; nil when it is absent.
func (f *fields) bytes(key string) []byte {
	switch v := f.get(key).(type) {
	case *lua.LNilType:
		return nil
	case lua.LString:
		return append([]byte{}, v...)
	}
	f.wrong(key, "a string")
	return nil
}

func (f *fields) boolean(key string, otherwise bool) bool {
	switch v := f.get(key).(type) {
	case *lua.LNilType:
		return otherwise
	case lua.LBool:
		return bool(v)
	}
	f.wrong(key, "true or false")
	return otherwise
}

func (f *fields) count(key string, most int) int {
	switch v := f.get(key).(type) {
	case *lua.LNilType:
		return 0
	case lua.LNumber:
		if n := int(v); lua.LNumber(n) == v && n >= 0 && n <= most {
			return n
		}
	}
	f.wrongValue(key, fmt.Sprintf("a whole number from 0 to %d", most))
	return 0
}

func (f *fields) duration(key string) time.Duration {
	switch v := f.get(key).(type) {
	case *lua.LNilType:
		return 0
	case lua.LString:
		if d, err := time.ParseDuration(strings.ReplaceAll(string(v), " ", "")); err == nil && d > 0 {
			return d
		}
	}
	f.wrongValue(key, `a duration such as "90s", "10m" or "1h30m"`)
	return 0
}

// list is a field that holds a list of non-empty strings; nil when it is absent.
func (f *fields) list(key string) []string {
	v := f.get(key)
	if v == lua.LNil {
		return nil
	}
	if items, ok := stringList(v); ok {
		return items
	}
	f.add(key, fmt.Sprintf(":%s must be a list of strings, got %s", key, typeOfList(v, false)), "")
	return nil
}

// names is a field that holds a list of names of jobs; nil when it is absent.
func (f *fields) names(key string) []string {
	v := f.get(key)
	if v == lua.LNil {
		return nil
	}
	if names, ok := nameList(v); ok {
		return names
	}
	f.add(key, fmt.Sprintf(":%s must be a list of names, got %s", key, typeOfList(v, true)), "")
	return nil
}

// environment is a table of variables. Numbers are accepted, since {:PORT 8080}
// can mean only one thing.
func (f *fields) environment(key string) map[string]string {
	v := f.get(key)
	if v == lua.LNil {
		return nil
	}
	t, ok := v.(*lua.LTable)
	if !ok {
		f.wrong(key, "a table of variables, such as {:NAME \"value\"}")
		return nil
	}
	env := map[string]string{}
	for k, v := range pairs(t) {
		if len(env) == checked.MaxVariables {
			f.add(key, fmt.Sprintf(":%s has more than %d variables", key, checked.MaxVariables), "")
			break
		}
		name, ok := k.(lua.LString)
		switch {
		case !ok || checked.VariableName(string(name)) != nil:
			f.add(key, fmt.Sprintf(":%s has %s for a variable's name", key, printableWhole(viewScalar(k))), "")
			continue
		case v.Type() != lua.LTString && v.Type() != lua.LTNumber:
			f.add(key, fmt.Sprintf(":%s must have strings as values, got %s for %s", key, v.Type(), name), "")
			continue
		case strings.Contains(v.String(), "\x00"):
			f.add(key, fmt.Sprintf(":%s has a zero byte in %s, which no environment can hold", key, name), "")
			continue
		}
		value := v.String()
		if n, isNumber := v.(lua.LNumber); isNumber {
			value = viewScalar(n)
		}
		if err := checked.VariableValue(string(name), value); err != nil {
			f.add(key, fmt.Sprintf(":%s: the value of %s cannot be used: %s", key, name, err), "")
			continue
		}
		env[string(name)] = value
	}
	return env
}

// function is a field that holds a function; nil when it is absent.
func (f *fields) function(key string) *lua.LFunction {
	switch v := f.get(key).(type) {
	case *lua.LNilType:
		return nil
	case *lua.LFunction:
		return v
	}
	f.wrong(key, "a function")
	return nil
}

// nameOf reads what names a job: a string, or a number, which is the text of it.
func nameOf(v lua.LValue) (string, bool) {
	switch v := v.(type) {
	case lua.LString:
		return string(v), true
	case lua.LNumber:
		return vm.FormatNumber(float64(v)), true
	}
	return "", false
}

// nameList is stringList for names of jobs.
func nameList(v lua.LValue) (names []string, ok bool) {
	t, isTable := v.(*lua.LTable)
	if !isTable {
		return nil, false
	}
	names = []string{}
	n := t.Len()
	for i := 1; i <= n; i++ {
		name, isName := nameOf(t.RawGetInt(i))
		if !isName || name == "" {
			return nil, false
		}
		names = append(names, name)
	}
	return names, isList(t)
}

// stringList reads a Lua list of non-empty strings; ok is false for anything
// else, a table with other keys included.
func stringList(v lua.LValue) (items []string, ok bool) {
	t, isTable := v.(*lua.LTable)
	if !isTable {
		return nil, false
	}
	items = []string{}
	n := t.Len()
	for i := 1; i <= n; i++ {
		s, isString := t.RawGetInt(i).(lua.LString)
		if !isString || s == "" {
			return nil, false
		}
		items = append(items, string(s))
	}
	return items, isList(t)
}

// isList reports whether a table has no keys but 1 … n. An empty one is a list.
func isList(t *lua.LTable) bool {
	n := t.Len()
	for k := range pairs(t) {
		if !indexWithin(k, n) {
			return false
		}
	}
	return true
}

// typeOfList names what is there in place of a list of strings, or of strings and
// numbers.
func typeOfList(v lua.LValue, numbers bool) string {
	t, ok := v.(*lua.LTable)
	if !ok {
		return v.Type().String()
	}
	n := t.Len()
	for i := 1; i <= n; i++ {
		if e := t.RawGetInt(i); e.Type() != lua.LTString && (e.Type() != lua.LTNumber || !numbers) {
			return fmt.Sprintf("a %s in it", e.Type())
		} else if e.String() == "" {
			return "an empty string in it"
		}
	}
	if k, _ := t.Next(lua.LNil); k == lua.LNil {
		return "an empty one"
	}
	return "a table with other keys"
}

// enumerate writes option names as a sentence has them: :env, :cwd and :stdin.
func enumerate(names []string) string {
	var b strings.Builder
	for i, n := range names {
		switch {
		case i > 0 && i == len(names)-1:
			b.WriteString(" and ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(":" + n)
	}
	return b.String()
}
