#include <joinery/block_on.hpp>
#include <joinery/task.hpp>

joinery::task<int> answer()
{
    co_return 42;
}

int main()
{
    return joinery::block_on(answer()) == 42 ? 0 : 1;
}
