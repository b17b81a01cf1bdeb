using Lamina.Cluster.Messages;
using Lamina.Compute.Model;
using Lamina.Coordinator.Planning;

namespace Lamina.Coordinator.Tests.Planning;

public class PlanForecastTests
{
    private static readonly ModelCost s_model = new()
    {
        LayerBytes = [100_000_000, 100_000_000, 100_000_000, 100_000_000],
        EmbeddingBytes = 32_000_000,
        OutputBytes = 60_000_000,
        KvBlockBytes = [1000, 1000, 1000, 1000],
        RowBytes = 16_000,
        ContextLength = 64,
    };

    /// <summary>
    /// a streams 1 layer of 100 MB at 1 GB/s: 100 ms; b 3 layers and the output, 360 MB, at 4 GB/s: 90 ms. A row of 16 kB takes 16 ms at 1 MB/s to a and 1 ms at 16 MB/s to b;
    /// hops take 3 and 5 ms. A token takes 116 + 91 + 8 = 215 ms, the slower stage 116 ms.
    /// </summary>
    [Fact]
    public void Forecast_OfTwoStages_IsWhatTheirFiguresSay()
    {
        var a = new NodeCapacity(new NodeName("a"), 1L << 40, 1_000_000_000, 0.003, 1_000_000);
        var b = new NodeCapacity(new NodeName("b"), 1L << 40, 4_000_000_000, 0.005, 16_000_000);

        PlanForecast forecast = PlanForecast.Of(s_model, [(a, new LayerRange(0, 1)), (b, new LayerRange(1, 4))], kvBlocks: 10);

        Assert.Equal(1 / 0.215, forecast.TokensPerSecond, 6);
        Assert.Equal(1 / 0.116, forecast.PipelinedTokensPerSecond, 6);
        Assert.Equal([132_000_000, 360_000_000], forecast.Stages.Select(stage => stage.WeightBytes));

        // Weights and a sixteenth more; ten blocks of each layer's 1000 bytes.
        Assert.Equal([140_250_000, 382_500_000], forecast.Stages.Select(stage => stage.ResidentBytes));
        Assert.Equal([10_000, 30_000], forecast.Stages.Select(stage => stage.KvBytes));
    }

    [Fact]
    public void Forecast_OfOneStage_CountsNoHop()
    {
        var alone = new NodeCapacity(new NodeName("a"), 1L << 40, 1_000_000_000, LinkSeconds: 1);

        PlanForecast forecast = PlanForecast.Of(s_model, [(alone, new LayerRange(0, 4))], kvBlocks: 1);

        // 400 MB of layers and 60 MB of output: the embedding is read one row at a time.
        Assert.Equal(1 / 0.46, forecast.TokensPerSecond, 6);
        Assert.Equal(1 / 0.46, forecast.PipelinedTokensPerSecond, 6);
    }
}
