// How often names have been used.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace gmc::graph {

// Keeps hashes, not names: graphs are rebuilt many times. Two names with one hash count as one, which costs the second
// its plain form and nothing else.
class NameTable {
public:
  // Room for as many names.
  void reserve(size_t names) {
    size_t places = 16;
    while (places < 2 * names) places *= 2;
    if (places > places_.size()) move_to(places);
  }
  // Of this name; 0 if it is new.
  int& uses(std::string_view name) {
    if (places_.size() < 2 * (known_ + 1)) move_to(places_.empty() ? 16 : 2 * places_.size());
    const uint64_t hash = std::hash<std::string_view>{}(name) | 1;  // 0 marks a free place
    Place& place = place_of(hash);
    if (place.hash == 0) {
      place.hash = hash;
      ++known_;
    }
    return place.uses;
  }

private:
  struct Place {
    uint64_t hash = 0;
    int uses = 0;
  };
  // Where the hash is, or belongs: the number of places is a power of two, half of them are free.
  Place& place_of(uint64_t hash) {
    size_t i = (hash >> 1) & (places_.size() - 1);
    while (places_[i].hash != 0 && places_[i].hash != hash) i = (i + 1) & (places_.size() - 1);
    return places_[i];
  }
  void move_to(size_t places) {
    std::vector<Place> old(places);
    old.swap(places_);
    for (const Place& p : old)
      if (p.hash != 0) place_of(p.hash) = p;
  }

  std::vector<Place> places_;
  size_t known_ = 0;
};

}  // namespace gmc::graph
