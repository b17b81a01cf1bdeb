using Lamina.Coordinator.Generations;

namespace Lamina.Coordinator.Tests.Generations;

public class LanePlacesTests
{
    [Fact]
    public void Lane_ThatTakesAllItCan_LeavesAnotherAsMany()
    {
        var places = new LanePlaces(12);
        Assert.Equal(6, Take(places, 1));

        // Two lanes and one to come: four each. The first keeps what it has.
        Assert.Equal(4, Take(places, 2));
        Assert.Equal(2, Take(places, 3));
        Assert.Equal(12, places.Held);
        places.Return(1);
        Assert.False(places.TryTake(1));
        Assert.True(places.TryTake(3));
    }

    [Fact]
    public void Place_OfOne_IsTheFirstLanes()
    {
        var places = new LanePlaces(1);
        Assert.True(places.TryTake(1));
        Assert.False(places.TryTake(2));
        places.Return(1);
        Assert.True(places.TryTake(2));
    }

    private static int Take(LanePlaces places, ulong lane)
    {
        int taken = 0;
        while (places.TryTake(lane))
        {
            taken++;
        }

        return taken;
    }
}
