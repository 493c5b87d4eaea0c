// A training run as one HTML file that needs nothing else: curves, pictures, texts, the configuration.
#pragma once

#include "runtime/files/reader.h"

#include <string>
#include <utility>
#include <vector>

namespace gmc::tool {

struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;  // step and value, by rising step
};

struct Report {
  std::string title;
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<Curve> curves;  // one figure each; long ones are thinned to means with the range of each stretch
  struct Exhibit {
    std::string caption;
    std::vector<std::byte> png;  // or
    std::string text;
  };
  std::vector<Exhibit> exhibits;
};

// Two curves whose names are `loss` and `validation loss` share a figure.
std::string format_report(const Report&);

}  // namespace gmc::tool
