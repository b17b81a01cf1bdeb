using System.Text.Json;
using System.Text.Json.Nodes;
using Lamina.Cli.Embedded;

namespace Lamina.Cli.Commands;

/// <summary>Turns the prompt options of <c>run</c> into tokens: exactly one of text, ids and chat.</summary>
internal static class PromptSource
{
    public static int[] Read(ModelSession session, string? text, string? tokens, FileInfo? chat)
    {
        int given = (text is null ? 0 : 1) + (tokens is null ? 0 : 1) + (chat is null ? 0 : 1);
        if (given != 1)
        {
            throw new UsageException("give the prompt by exactly one of -p TEXT, --tokens 1,2,3 and --chat FILE.json");
        }

        return text is not null ? session.EncodePrompt(text)
            : tokens is not null ? Ids(tokens, session.Tokenizer.VocabularySize)
            : session.EncodeChat(Messages(chat!));
    }

    private static int[] Ids(string list, int vocabularySize)
    {
        string[] parts = list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        int[] ids = new int[parts.Length];
        for (int i = 0; i < parts.Length; i++)
        {
            if (!int.TryParse(parts[i], out ids[i]) || ids[i] < 0 || ids[i] >= vocabularySize)
            {
                throw new UsageException($"--tokens holds '{parts[i]}'; token ids are whole numbers from 0 to {vocabularySize - 1}");
            }
        }

        return ids.Length > 0 ? ids : throw new UsageException("--tokens names no token id");
    }

    private static JsonArray Messages(FileInfo file)
    {
        try
        {
            JsonNode? root = JsonNode.Parse(File.ReadAllBytes(file.FullName), documentOptions: new JsonDocumentOptions { MaxDepth = 32 });
            return root as JsonArray ?? root?["messages"] as JsonArray
                ?? throw new InvalidDataException($"{file.Name} is neither a list of messages nor an object with 'messages'");
        }
        catch (JsonException exception)
        {
            throw new InvalidDataException($"{file.Name} is not valid JSON: {exception.Message}");
        }
    }
}
