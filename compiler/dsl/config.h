// Configuration of a model: a plain struct whose fields can be set by name.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <variant>
#include <vector>

// Names the fields of a configuration: int64_t, double, bool, std::string, std::vector<int64_t>, std::vector<double>.
#define GMC_FIELDS(...)                                                                                                \
  std::vector<::gmc::Field> gmc_fields() { return ::gmc::name_fields(#__VA_ARGS__, {__VA_ARGS__}); }

namespace gmc {

struct Field {
  using Place = std::variant<int64_t*, double*, bool*, std::string*, std::vector<int64_t>*, std::vector<double>*>;
  std::string name;
  Place place;

  template <class T>
  Field(T& value) : place(&value) {}
};

using Fields = std::vector<Field>;
Fields name_fields(const char* names, std::initializer_list<Field> fields);

// Sets a field from text: `512`, `1e-3`, `true`, `name`, `3,4,5`. Throws `Error` (usage) for an unknown name, with the
// fields and the nearest name, and for a value that is not of the field's kind.
void set_field(const Fields&, const std::string& name, const std::string& text);
// Sets fields from a JSON object. `origin` names it in errors.
void set_fields_from_json(const Fields&, const std::string& json, const std::string& origin);

// `integer`, `number`, `flag`, `text`, `integers`, `numbers`.
const char* kind_of(const Field&);
// The value, as set_field reads it.
std::string value_of(const Field&);

}  // namespace gmc
