using System.Text;
using Lamina.Coordinator.Generations;

namespace Lamina.Coordinator.Api.Responses;

/// <summary>All answers of a request that is not streamed.</summary>
internal sealed class WholeAnswers
{
    private WholeAnswers(int choices) => Choices = [.. Enumerable.Range(0, choices).Select(_ => (new StringBuilder(), new List<AnswerToken>(), ""))];

    public List<(StringBuilder Text, List<AnswerToken> Tokens, string FinishReason)> Choices { get; }

    public AnswerUsage Usage { get; private set; }

    /// <summary>Reads all events; the first error ends the request.</summary>
    /// <param name="perPrompt">Choices that share a prompt, whose tokens count once.</param>
    public static async Task<WholeAnswers> CollectAsync(IAsyncEnumerable<AnswerEvent> events, int choices, int perPrompt)
    {
        var whole = new WholeAnswers(choices);
        await foreach (AnswerEvent happened in events)
        {
            if (happened.Error is { } error)
            {
                throw error.AsException();
            }

            (StringBuilder text, List<AnswerToken> tokens, _) = whole.Choices[happened.Choice];
            text.Append(happened.Piece.Text);
            tokens.AddRange(happened.Piece.Tokens ?? []);
            if (happened.FinishReason is { } finishReason)
            {
                whole.Choices[happened.Choice] = (text, tokens, finishReason);
                whole.Usage = whole.Usage.Plus(happened.Usage.CountedOnce(happened.Choice, perPrompt));
            }
        }

        return whole;
    }
}
