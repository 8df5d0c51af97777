package phones

import (
	"reflect"
	"strings"
	"testing"
)

// Every language says all that the first one says, and names the same things.
func TestEveryLanguageIsComplete(t *testing.T) {
	all := spoken().all
	first := reflect.ValueOf(all[0])
	for _, w := range all {
		v := reflect.ValueOf(w)
		for i := range v.NumField() {
			name := w.Tag + " " + v.Type().Field(i).Name
			switch field := v.Field(i); field.Kind() {
			case reflect.String:
				if field.String() == "" || strings.Count(field.String(), "%s") != strings.Count(first.Field(i).String(), "%s") {
					t.Errorf("%s: %q", name, field.String())
				}
			case reflect.Map:
				for _, key := range first.Field(i).MapKeys() {
					if said := field.MapIndex(key); !said.IsValid() || said.String() == "" {
						t.Errorf("%s: nothing for %q", name, key)
					}
				}
			default:
				t.Errorf("%s is a %v", name, field.Kind())
			}
		}
	}
}
