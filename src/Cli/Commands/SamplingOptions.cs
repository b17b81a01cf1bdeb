using System.CommandLine;
using Lamina.Cluster.Messages;

namespace Lamina.Cli.Commands;

/// <summary>The sampling options of <c>run</c>, and their wire form.</summary>
internal sealed class SamplingOptions
{
    private readonly Option<float> _temperature = new("--temp") { Description = "Temperature; 0 chooses the most likely token.", DefaultValueFactory = _ => 0.8f };
    private readonly Option<int> _topK = new("--top-k") { Description = "Choose among the K most likely tokens; 0 = all.", DefaultValueFactory = _ => 40 };
    private readonly Option<float> _topP = new("--top-p") { Description = "Choose among the most likely tokens that hold this probability together.", DefaultValueFactory = _ => 0.95f };
    private readonly Option<float> _minP = new("--min-p") { Description = "Drop tokens less likely than this share of the most likely one.", DefaultValueFactory = _ => 0f };
    private readonly Option<float> _repetitionPenalty = new("--repeat-penalty") { Description = "Divide the odds of recent tokens; 1 = off.", DefaultValueFactory = _ => 1f };
    private readonly Option<ulong?> _seed = new("--seed") { Description = "Seed of the random choices; drawn at random when not given." };
    private readonly Option<int> _logProbs = new("--logprobs") { Description = "Report the K most likely tokens of each step, with log-probabilities.", DefaultValueFactory = _ => 0 };

    public void AddTo(Command command)
    {
        foreach (Option option in new Option[] { _temperature, _topK, _topP, _minP, _repetitionPenalty, _seed, _logProbs })
        {
            command.Options.Add(option);
        }
    }

    public SamplingSettings Read(ParseResult parsed)
    {
        int logProbs = parsed.GetValue(_logProbs);
        Compute.Sampling.SamplingParameters parameters = new()
        {
            Temperature = parsed.GetValue(_temperature),
            TopK = parsed.GetValue(_topK),
            TopP = parsed.GetValue(_topP),
            MinP = parsed.GetValue(_minP),
            RepetitionPenalty = parsed.GetValue(_repetitionPenalty),
            Seed = parsed.GetValue(_seed) ?? (ulong)Random.Shared.NextInt64(),
            TopLogProbs = logProbs,
            LogProbs = logProbs > 0,
        };
        return SamplingSettings.From(parameters);
    }
}
