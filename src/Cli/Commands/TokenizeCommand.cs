using System.CommandLine;
using System.Text.Json.Nodes;
using Lamina.Compute.Gguf;
using Lamina.Compute.Tokenization;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina tokenize</c>: the ids of a text, as the model's file says.</summary>
internal static class TokenizeCommand
{
    public static Command Create()
    {
        Argument<string> model = new("MODEL") { Description = "GGUF file; one with a vocabulary only will do." };
        Argument<string?> text = new("TEXT") { Description = "Text to tokenise.", Arity = ArgumentArity.ZeroOrOne };
        Option<FileInfo?> file = new("-f", "--file") { Description = "Read the text from a file." };
        Option<bool> special = new("--special") { Description = "Let the texts of control tokens count as those tokens." };
        Option<bool> json = new("--json") { Description = "Print one JSON object." };
        Command command = new("tokenize", "Print the token ids of a text, without BOS or EOS.") { model, text, file, special, json };
        command.SetAction(parsed =>
        {
            string? given = parsed.GetValue(text);
            FileInfo? source = parsed.GetValue(file);
            if (given is null == source is null)
            {
                throw new UsageException("give the text either as an argument or by -f FILE");
            }

            string input = given ?? File.ReadAllText(source!.FullName);
            using GgufFile gguf = GgufFile.Open(parsed.GetRequiredValue(model));
            int[] ids = Tokenizer.FromGguf(gguf.Metadata).Encode(input, parsed.GetValue(special) ? [Range.All] : null);
            Console.Out.WriteLine(parsed.GetValue(json)
                ? new JsonObject { ["tokens"] = new JsonArray([.. ids.Select(id => (JsonNode)id)]) }.ToJsonString()
                : string.Join(' ', ids));
            return 0;
        });
        return command;
    }
}
