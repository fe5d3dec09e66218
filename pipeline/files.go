package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	lua "github.com/yuin/gopher-lua"

	"quire/internal/checked"
)

func runReadFile(r *Runtime, a arguments) (lua.LValue, error) {
	data, _, err := r.readFile(a, "read-file")
	if err != nil {
		return nil, err
	}
	return lua.LString(data), nil
}

func runReadJSON(r *Runtime, a arguments) (lua.LValue, error) {
	data, path, err := r.readFile(a, "read-json")
	if err != nil {
		return nil, err
	}
	v, err := decodeJSON(a.L, data)
	if err != nil {
		return nil, fmt.Errorf("read-json: %s: %w", path, err)
	}
	return v, nil
}

func (r *Runtime) readFile(a arguments, primitive string) ([]byte, string, error) {
	path, err := a.checkedText(1, primitive, "the path", checked.Path)
	if err != nil {
		return nil, "", err
	}
	data, err := r.host.ReadFile(r.clock.ctx, path)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", primitive, err)
	}
	return data, path, nil
}

func runWriteFile(r *Runtime, a arguments) (lua.LValue, error) {
	path, err := a.checkedText(1, "write-file", "the path", checked.Path)
	if err != nil {
		return nil, err
	}
	content, ok := a.get(2).(lua.LString)
	if !ok {
		return nil, fmt.Errorf("write-file: the content must be a string, got %s", a.get(2).Type())
	}
	if err := r.host.WriteFile(r.clock.ctx, path, []byte(content)); err != nil {
		return nil, fmt.Errorf("write-file: %w", err)
	}
	return lua.LNil, nil
}

// decodeJSON makes a Lua value of JSON text. null becomes nil, so a field that
// is null is absent; objects keep the order of their keys.
func decodeJSON(L *lua.LState, text []byte) (lua.LValue, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	v, err := jsonValue(L, d, 0)
	if err == nil {
		if _, err = d.Token(); err == nil {
			err = errors.New("there is more after the value")
		} else if err == io.EOF {
			return v, nil
		}
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = errors.New("the text ends too early")
	}
	line := 1 + bytes.Count(text[:min(int(d.InputOffset()), len(text))], []byte("\n"))
	return nil, fmt.Errorf("line %d: %w", line, err)
}

func jsonValue(L *lua.LState, d *json.Decoder, depth int) (lua.LValue, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case bool:
		return lua.LBool(token), nil
	case float64:
		return lua.LNumber(token), nil
	case string:
		return lua.LString(token), nil
	case json.Delim:
		if depth == maxPlainDepth {
			return nil, fmt.Errorf("nested deeper than %d", maxPlainDepth)
		}
		return jsonTable(L, d, token == '[', depth)
	}
	return lua.LNil, nil
}

// jsonTable reads the rest of an array or object, whose opening bracket is read.
func jsonTable(L *lua.LState, d *json.Decoder, array bool, depth int) (lua.LValue, error) {
	t := L.CreateTable(0, 0)
	for i := 1; d.More(); i++ {
		key := lua.LValue(lua.LNumber(i))
		if !array {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			key = lua.LString(name.(string)) // the decoder has checked that it is one
		}
		v, err := jsonValue(L, d, depth+1)
		if err != nil {
			return nil, err
		}
		t.RawSet(key, v)
	}
	_, err := d.Token()
	return t, err
}
