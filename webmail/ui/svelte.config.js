// Scoped styles and runes; markup that not everyone could use does not compile in `npm run check`.
export default {
  compilerOptions: { runes: true },
};
