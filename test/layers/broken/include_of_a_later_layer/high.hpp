#include <joinery/low.hpp>
