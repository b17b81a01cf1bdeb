using System.CommandLine;
using System.Diagnostics;
using Lamina.Cli.Embedded;
using Lamina.Cli.Output;
using Lamina.Cluster.Messages;
using Lamina.Compute.Tokenization;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina run</c>: one prompt, one answer, in this process or over node processes on loopback.</summary>
internal static class RunCommand
{
    public static Command Create()
    {
        ModelRunOptions run = new();
        SamplingOptions sampling = new();
        Option<string?> prompt = new("--prompt", "-p") { Description = "Text to continue." };
        Option<string?> tokens = new("--tokens") { Description = "Token ids to continue, separated by commas." };
        Option<FileInfo?> chat = new("--chat") { Description = "JSON file with a list of chat messages to answer." };
        Option<int> count = new("--count", "-n") { Description = "Tokens to generate at most.", DefaultValueFactory = _ => 128 };
        Option<bool> json = new("--json") { Description = "Print one JSON object on standard output." };
        Option<string[]> lora = LoraOption.Create();
        Command command = new("run", "Answer one prompt and print the answer as it comes.") { prompt, tokens, chat, count, lora, json };
        run.AddTo(command);
        sampling.AddTo(command);
        command.SetAction(async (parsed, cancellation) =>
        {
            int maxTokens = Bounds.AtLeast(parsed.GetValue(count), 1, "-n");
            bool asJson = parsed.GetValue(json);
            SessionOptions options = LoraOption.Apply(run.Read(parsed), parsed.GetValue(lora) ?? []);
            await using ModelSession session = await ModelSession.OpenAsync(options, new LoadProgress(quiet: asJson), cancellation);
            int[] promptTokens = PromptSource.Read(session, parsed.GetValue(prompt), parsed.GetValue(tokens), parsed.GetValue(chat));
            GenerationProtocol.Submit submit = new(
                session.Tenant, NewGeneration(), promptTokens, [], maxTokens, [.. session.Tokenizer.EndOfGeneration], sampling.Read(parsed), Priority: 0);
            Answer answer = new(session.Tokenizer, echo: !asJson);
            long started = Stopwatch.GetTimestamp();
            GenerationProtocol.GenerationEnded ended = await session.GenerateAsync(submit, answer.Add, cancellation);
            answer.Finish();
            if (ended.Outcome is GenerationOutcome.Failed or GenerationOutcome.Refused)
            {
                throw new CommandException(ended.Reason);
            }

            RunResult result = RunResult.From(session, submit, answer, ended, started);
            Console.Out.WriteLine(asJson ? result.ToJson() : "");
            if (!asJson)
            {
                Console.Error.WriteLine(result.Summary());
            }

            return 0;
        });
        return command;
    }

    internal static GenerationId NewGeneration()
    {
        Span<byte> bits = stackalloc byte[16];
        System.Security.Cryptography.RandomNumberGenerator.Fill(bits);
        return new GenerationId(BitConverter.ToUInt64(bits), BitConverter.ToUInt64(bits[8..]));
    }
}
