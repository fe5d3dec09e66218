package mirror

import "errors"

type app struct{}
type appTokens struct{}

func parseApp(string) (*app, error) { return nil, errors.New("not yet") }
