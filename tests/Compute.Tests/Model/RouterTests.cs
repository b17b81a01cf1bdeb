using Lamina.Compute.Model;

namespace Lamina.Compute.Tests.Model;

public sealed class RouterTests
{
    [Fact]
    public void Choose_TheBestTwo_TakesTheLowerOfEquals()
    {
        (int[] chosen, float[] weights) = Choose(new ExpertShape { Count = 5, Used = 3 }, [0.1f, 0.3f, 0.2f, 0.3f, float.NaN]);
        Assert.Equal([1, 3, 2], chosen);
        Assert.Equal([0.3f, 0.3f, 0.2f], weights);
    }

    [Fact]
    public void Choose_WithABias_WeighsWithoutIt()
    {
        (int[] chosen, float[] weights) = Choose(new ExpertShape { Count = 3, Used = 1 }, [0.5f, 0.4f, 0.1f], 0, 0, 1);
        Assert.Equal([2], chosen);
        Assert.Equal([0.1f], weights);
    }

    [Fact]
    public void Choose_WithGroups_LooksOnlyIntoTheBest()
    {
        // Sums of each group's two best: 0.9, 1.0, 0.7; the best expert stands in a group that loses.
        float[] scores = [0.9f, 0, 0, 0.5f, 0.5f, 0.1f, 0.4f, 0.3f, 0.3f];
        (int[] chosen, _) = Choose(new ExpertShape { Count = 9, Used = 3, Groups = 3, GroupsUsed = 1 }, scores);
        Assert.Equal([3, 4, 5], chosen);
    }

    [Fact]
    public void Weigh_NormalisedAndScaled_SumsToTheScale()
    {
        float[] weights = [0.25f, 0.75f, 1];
        Router.Weigh(new ExpertShape { Count = 3, Used = 3, Normalise = true, WeightScale = 4 }, weights);
        Assert.Equal([0.5f, 1.5f, 2], weights);
    }

    [Fact]
    public void Weigh_WeightsThatVanish_StayFinite()
    {
        float[] weights = [0, 0];
        Router.Weigh(new ExpertShape { Count = 2, Used = 2, Normalise = true }, weights);
        Assert.Equal([0, 0], weights);
    }

    private static (int[] Chosen, float[] Weights) Choose(ExpertShape shape, float[] scores, params float[] bias)
    {
        var chosen = new int[shape.Used];
        var weights = new float[shape.Used];
        Router.Choose(shape, scores, bias, new float[shape.Count], chosen, weights);
        return (chosen, weights);
    }
}
