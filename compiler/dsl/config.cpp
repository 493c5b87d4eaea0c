#include "compiler/dsl/config.h"

#include "compiler/dsl/nearest.h"
#include "runtime/base/error.h"

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <charconv>

namespace gmc {
namespace {

template <class Number>
bool parse(std::string_view text, Number& out) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  Number value{};
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size()) return false;
  out = value;
  return true;
}

bool parse(std::string_view text, bool& out) {
  if (text != "true" && text != "false" && text != "1" && text != "0") return false;
  out = text == "true" || text == "1";
  return true;
}

bool parse(std::string_view text, std::string& out) {
  out = text;
  return true;
}

template <class Number>
bool parse(std::string_view text, std::vector<Number>& out) {
  std::vector<Number> values;
  while (!text.empty()) {
    const size_t end = std::min(text.find(','), text.size());
    if (!parse(text.substr(0, end), values.emplace_back())) return false;
    if (end + 1 == text.size()) return false;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  out = std::move(values);
  return true;
}

const Field& find(const Fields& fields, const std::string& name) {
  std::vector<std::string> names;
  for (const Field& f : fields) {
    if (f.name == name) return f;
    names.push_back(f.name);
  }
  fail_usage("{}", unknown_name("field", name, names));
}

// The text of a JSON value that set_field reads; false if it is of a kind that no field has.
bool text_of(const nlohmann::json& value, std::string& text) {
  if (value.is_string()) {
    text = value.get<std::string>();
  } else if (value.is_array()) {
    for (const auto& item : value) {
      std::string one;
      if (!item.is_number() || !text_of(item, one)) return false;
      text += (text.empty() ? "" : ",") + one;
    }
  } else if (value.is_number() || value.is_boolean()) {
    text = value.dump();
  } else {
    return false;
  }
  return true;
}

}  // namespace

Fields name_fields(const char* names, std::initializer_list<Field> fields) {
  Fields out(fields);
  const char* at = names;
  for (Field& field : out) {
    while (*at == ' ' || *at == ',') ++at;
    while (*at != '\0' && *at != ',' && *at != ' ') field.name += *at++;
  }
  return out;
}

void set_field(const Fields& fields, const std::string& name, const std::string& text) {
  const Field& field = find(fields, name);
  if (!std::visit([&](auto* place) { return parse(text, *place); }, field.place))
    fail_usage("field '{}': expected {}, got '{}'", name, kind_of(field), text);
}

void set_fields_from_json(const Fields& fields, const std::string& json, const std::string& origin) {
  const auto object = nlohmann::json::parse(json, nullptr, false);
  if (!object.is_object()) fail("{}: expected a JSON object of fields", origin);
  for (const auto& [name, value] : object.items()) {
    std::string text;
    if (!text_of(value, text))
      fail("{}: field '{}': expected {}, got {}", origin, name, kind_of(find(fields, name)), value.dump());
    try {
      set_field(fields, name, text);
    } catch (const Error& e) {
      fail("{}: {}", origin, e.what());
    }
  }
}

const char* kind_of(const Field& field) {
  static constexpr const char* kinds[] = {"integer", "number", "flag", "text", "integers", "numbers"};
  return kinds[field.place.index()];
}

std::string value_of(const Field& field) {
  struct Printer {
    std::string operator()(const int64_t* v) const { return fmt::format("{}", *v); }
    std::string operator()(const double* v) const { return fmt::format("{}", *v); }
    std::string operator()(const bool* v) const { return *v ? "true" : "false"; }
    std::string operator()(const std::string* v) const { return *v; }
    std::string operator()(const std::vector<int64_t>* v) const { return fmt::format("{}", fmt::join(*v, ",")); }
    std::string operator()(const std::vector<double>* v) const { return fmt::format("{}", fmt::join(*v, ",")); }
  };
  return std::visit(Printer{}, field.place);
}

}  // namespace gmc
