using System.Globalization;
using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Syntax;

internal sealed partial class Parser
{
    private Expression ParsePrimary()
    {
        Token token = Next();
        switch (token.Kind)
        {
            case TokenKind.Name:
                return Named(token);
            case TokenKind.Text:
                string text = token.Text;
                while (Current.Kind == TokenKind.Text)
                {
                    text += Next().Text;
                }

                return new ConstantExpression(new TextValue(MarkedText.FromTemplate(text)), token.Line);
            case TokenKind.Integer:
                return long.TryParse(token.Text, CultureInfo.InvariantCulture, out long number)
                    ? new ConstantExpression(new IntValue(number), token.Line)
                    : throw new TemplateException($"line {token.Line}: the number {token.Text} does not fit 64 bits");
            case TokenKind.Float:
                return new ConstantExpression(new FloatValue(double.Parse(token.Text, CultureInfo.InvariantCulture)), token.Line);
            case TokenKind.Operator when token.Text == "(":
                return ParseParenthesis(token.Line);
            case TokenKind.Operator when token.Text == "[":
                return new ListExpression(ParseItems("]", () => ParseExpression()), IsTuple: false, token.Line);
            case TokenKind.Operator when token.Text == "{":
                return new DictExpression(ParseItems("}", ParsePair), token.Line);
            default:
                throw new TemplateException($"line {token.Line}: unexpected {token.Description}, expected an expression");
        }
    }

    private Expression Named(Token token)
    {
        if (_macroNames.TryPeek(out HashSet<string>? names))
        {
            names.Add(token.Text);
        }

        return token.Text switch
        {
            "true" or "True" => new ConstantExpression(BoolValue.True, token.Line),
            "false" or "False" => new ConstantExpression(BoolValue.False, token.Line),
            "none" or "None" => new ConstantExpression(NoneValue.Instance, token.Line),
            _ => new NameExpression(token.Text, token.Line),
        };
    }

    private Expression ParseParenthesis(int line)
    {
        if (TryOperator(")"))
        {
            return new ListExpression([], IsTuple: true, line);
        }

        Expression inner = ParseTuple();
        ExpectOperator(")");
        return inner;
    }

    private (Expression, Expression) ParsePair()
    {
        Expression key = ParseExpression();
        ExpectOperator(":");
        return (key, ParseExpression());
    }

    private List<T> ParseItems<T>(string end, Func<T> parse)
    {
        List<T> items = [];
        while (!TryOperator(end))
        {
            if (items.Count > 0)
            {
                ExpectOperator(",");
                if (TryOperator(end))
                {
                    break;
                }
            }

            items.Add(parse());
        }

        return items;
    }

    /// <summary>Attributes, items and calls behind an expression.</summary>
    private Expression ParsePostfix(Expression node)
    {
        while (true)
        {
            int line = Current.Line;
            if (TryOperator("."))
            {
                node = Current.Kind == TokenKind.Integer
                    ? new ItemExpression(node, ParsePrimary(), line)
                    : new AttributeExpression(node, ExpectIdentifier(), line);
            }
            else if (TryOperator("["))
            {
                node = new ItemExpression(node, ParseSubscript(line), line);
                ExpectOperator("]");
            }
            else if (Current.IsOperator("("))
            {
                node = new CallExpression(node, ParseArguments(), line);
            }
            else
            {
                return node;
            }
        }
    }

    private Expression ParseSubscript(int line)
    {
        Expression? start = Current.IsOperator(":") ? null : ParseTuple();
        if (!TryOperator(":"))
        {
            return start!;
        }

        Expression? stop = Current.IsOperator(":") || Current.IsOperator("]") ? null : ParseExpression();
        Expression? step = TryOperator(":") && !Current.IsOperator("]") ? ParseExpression() : null;
        return new SliceExpression(start, stop, step, line);
    }

    private Expression ParseFiltersAndTests(Expression node)
    {
        while (true)
        {
            int line = Current.Line;
            if (TryOperator("|"))
            {
                string name = ParseDottedName();
                node = new FilterExpression(node, name, ParseOptionalArguments(), line);
            }
            else if (TryName("is"))
            {
                bool isNegated = TryName("not");
                string name = ParseDottedName();
                node = new TestExpression(node, name, ParseTestArguments(), isNegated, line);
            }
            else if (Current.IsOperator("("))
            {
                node = new CallExpression(node, ParseArguments(), line);
            }
            else
            {
                return node;
            }
        }
    }

    private CallArguments ParseTestArguments()
    {
        if (Current.IsOperator("("))
        {
            return ParseArguments();
        }

        bool startsArgument = Current.Kind is TokenKind.Text or TokenKind.Integer or TokenKind.Float
            || Current.IsOperator("[") || Current.IsOperator("{")
            || (Current.Kind == TokenKind.Name && Current.Text is not ("else" or "or" or "and" or "is" or "if" or "in" or "not" or "recursive"));
        return startsArgument ? CallArguments.None with { Positional = [ParsePostfix(ParsePrimary())] } : CallArguments.None;
    }

    private string ParseDottedName()
    {
        string name = ExpectIdentifier();
        while (TryOperator("."))
        {
            name += "." + ExpectIdentifier();
        }

        return name;
    }

    private CallArguments ParseOptionalArguments() => Current.IsOperator("(") ? ParseArguments() : CallArguments.None;

    private CallArguments ParseArguments()
    {
        List<Expression> positional = [];
        List<(string, Expression)> keywords = [];
        Expression? spread = null, spreadKeywords = null;
        ExpectOperator("(");
        bool first = true;
        while (!TryOperator(")"))
        {
            if (!first)
            {
                ExpectOperator(",");
                if (TryOperator(")"))
                {
                    break;
                }
            }

            first = false;
            if (spreadKeywords is not null)
            {
                throw Unexpected("')'");
            }

            if (TryOperator("*"))
            {
                spread = ParseExpression();
            }
            else if (TryOperator("**"))
            {
                spreadKeywords = ParseExpression();
            }
            else if (Current.Kind == TokenKind.Name && tokens[_position + 1].IsOperator("="))
            {
                string name = ExpectIdentifier();
                ExpectOperator("=");
                keywords.Add((name, ParseExpression()));
            }
            else if (keywords.Count > 0 || spread is not null)
            {
                throw Unexpected("a keyword argument");
            }
            else
            {
                positional.Add(ParseExpression());
            }
        }

        return new CallArguments(positional, keywords, spread, spreadKeywords);
    }
}
