using Lamina.Compute.Sampling;

namespace Lamina.Compute.Tests.Sampling;

public sealed class CounterRandomTests
{
    // known answers published with the Random123 library
    [Fact]
    public void Block_KnownAnswers_AreEqual()
    {
        Assert.Equal((0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u), CounterRandom.Block(0, 0, 0, 0, 0, 0));
        Assert.Equal((0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu),
            CounterRandom.Block(uint.MaxValue, uint.MaxValue, uint.MaxValue, uint.MaxValue, uint.MaxValue, uint.MaxValue));
        Assert.Equal((0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u),
            CounterRandom.Block(0xa4093822, 0x299f31d0, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344));
    }

    [Fact]
    public void Uniform_PositionSeedOrStreamDiffers_NumberDiffers()
    {
        double[] numbers = [CounterRandom.Uniform(1, 5, 0), CounterRandom.Uniform(1, 6, 0), CounterRandom.Uniform(2, 5, 0), CounterRandom.Uniform(1, 5, 1)];
        Assert.Equal(4, numbers.Distinct().Count());
        Assert.All(numbers, number => Assert.InRange(number, 0, 1));
    }
}
