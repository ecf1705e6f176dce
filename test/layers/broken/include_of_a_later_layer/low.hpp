#include <joinery/high.hpp>
